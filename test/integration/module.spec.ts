import { Inject, Injectable, Module } from '@nestjs/common';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  ConnectionRegistry,
  InjectRedis,
  RedisAdapter,
  RedisConfig,
  RedisModule,
  redisToken,
  type RedisModuleOptions,
  type RedisOptionsFactory,
} from '@anbar/nestjs-redis';
import { boot, bootFailure } from './boot.js';

const EMBEDDED = { topology: 'embedded' } as const;

beforeEach(() => vi.stubEnv('REDIS_URL', undefined));
afterEach(() => vi.unstubAllEnvs());

@Injectable()
class Shelf {
  constructor(
    @Inject(RedisAdapter) readonly main: RedisAdapter,
    @InjectRedis('reports') readonly reports: RedisAdapter,
  ) {}
}

@Injectable()
class Settings implements RedisOptionsFactory {
  createRedisOptions(): RedisModuleOptions {
    return { ...EMBEDDED, namespace: 'from-class' };
  }
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

describe('forRoot', () => {
  it('without a word runs embedded and says what that means', async () => {
    const { app, log } = await boot({ imports: [RedisModule.forRoot()] });
    const adapter = app.get(RedisAdapter);
    await adapter.set('k', { a: 1 });
    expect(await adapter.get('k')).toEqual({ a: 1 });
    expect(log).toEqual([expect.stringMatching(/'default' runs embedded: data lives in this process only/u)]);
  });

  it('gives the adapter, the configuration and the registry, everywhere', async () => {
    @Module({
      providers: [{ provide: 'seen', inject: [RedisAdapter], useFactory: (found: unknown) => found }],
    })
    class FarModule {}
    const { app } = await boot({ imports: [RedisModule.forRoot(EMBEDDED), FarModule] });
    expect(app.get('seen', { strict: false })).toBe(app.get(RedisAdapter));
    expect(app.get(RedisConfig).defaultConnection.topology).toBe('embedded');
    expect(app.get(ConnectionRegistry).names).toEqual(['default']);
  });

  it('stays within the importing module when it is not to be global', async () => {
    @Module({
      providers: [{ provide: 'seen', inject: [RedisAdapter], useFactory: (found: unknown) => found }],
    })
    class FarModule {}
    const imports = [RedisModule.forRoot({ ...EMBEDDED, isGlobal: false }), FarModule];
    expect((await bootFailure({ imports })).message).toMatch(/RedisAdapter/u);
  });

  it('refuses an option it does not know, and guesses what was meant', async () => {
    const options = { ...EMBEDDED, tiemout: '1s', connections: { a: { ...EMBEDDED, hots: 'h' } } };
    const { message } = await bootFailure({ imports: [RedisModule.forRoot(options)] });
    expect(message).toMatch(/^2 faults/u);
    expect(message).toMatch(/tiemout[^]*timeout/u);
    expect(message).toMatch(/hots[^]*host/u);
  });

  it('masks a malformed REDIS_URL', async () => {
    vi.stubEnv('REDIS_URL', 'redis//user:planted-secret@host');
    const { message } = await bootFailure({ imports: [RedisModule.forRoot()] });
    expect(message).toMatch(/REDIS_URL/u);
    expect(message).not.toMatch(/planted-secret/u);
  });
});

describe('forRootAsync', () => {
  it.each<[string, Parameters<typeof RedisModule.forRootAsync>[0]]>([
    ['useFactory', { useFactory: () => ({ ...EMBEDDED, namespace: 'from-class' }) }],
    ['an async useFactory', { useFactory: async () => Promise.resolve(new Settings().createRedisOptions()) }],
    ['useClass', { useClass: Settings }],
    ['useExisting', { imports: [SettingsModule], useExisting: Settings }],
    [
      'useFactory with inject and imports',
      {
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: (settings: Settings) => settings.createRedisOptions(),
      },
    ],
  ])('takes %s', async (_way, options) => {
    const { app } = await boot({ imports: [RedisModule.forRootAsync(options)] });
    expect(app.get(RedisConfig).namespace).toBe('from-class');
    await expect(app.get(RedisAdapter).set('k', 1)).resolves.toBe(true);
  });

  it('refuses no way and two ways', () => {
    const both = { useClass: Settings, useFactory: () => EMBEDDED };
    for (const options of [{}, both]) {
      expect(() => RedisModule.forRootAsync(options)).toThrow(
        'needs exactly one of useFactory, useClass and useExisting',
      );
    }
  });

  it.each([[undefined], [null], ['redis://host']])('refuses a factory that returns %j', async (returned) => {
    const useFactory = () => returned as unknown as RedisModuleOptions;
    const { message } = await bootFailure({ imports: [RedisModule.forRootAsync({ useFactory })] });
    expect(message).toMatch(/the factory returned (?:undefined|null|string) instead of options/u);
  });

  it('lets a failing factory speak for itself', async () => {
    const useFactory = () => Promise.reject(new Error('the vault is sealed'));
    const failure = await bootFailure({ imports: [RedisModule.forRootAsync({ useFactory })] });
    expect(failure.message).toBe('the vault is sealed');
  });
});

describe('named connections', () => {
  it('are injected by name, and each is a store of its own', async () => {
    const connections = { reports: EMBEDDED };
    const { app } = await boot({
      imports: [RedisModule.forRoot({ ...EMBEDDED, connections })],
      providers: [Shelf],
    });
    const { main, reports } = app.get(Shelf);
    expect([main.name, reports.name]).toEqual(['default', 'reports']);
    await main.set('k', 'main');
    expect(await reports.get('k')).toBeUndefined();
    expect(app.get(redisToken('reports'))).toBe(reports);
  });

  it('come from a factory that announced them', async () => {
    const { app } = await boot({
      imports: [
        RedisModule.forRootAsync({
          names: ['reports'],
          useFactory: () => ({ ...EMBEDDED, connections: { reports: EMBEDDED } }),
        }),
      ],
      providers: [Shelf],
    });
    expect(app.get(Shelf).reports.name).toBe('reports');
  });

  it('that nobody declared are missed by name, with what to write', async () => {
    const imports = [RedisModule.forRoot(EMBEDDED)];
    const { message } = await bootFailure({ imports, providers: [Shelf] });
    expect(message).toContain("RedisAdapter 'reports'");
    expect(message).toContain('RedisModule.forRoot({ connections: { reports: … } })');
  });

  it('have to be announced and returned alike', async () => {
    const useFactory = () => ({ ...EMBEDDED, connections: { reports: EMBEDDED } });
    const imports = [RedisModule.forRootAsync({ names: ['report'], useFactory })];
    const { message } = await bootFailure({ imports });
    expect(message).toMatch(/names: 'report': the factory returned no such connection/u);
    expect(message).toMatch(/connections\.reports: is not announced[^]*names: \['reports'\]/u);
  });

  it('that are asked of the registry by a wrong name are listed', async () => {
    const { app } = await boot({ imports: [RedisModule.forRoot(EMBEDDED)] });
    expect(() => app.get(ConnectionRegistry).get('other')).toThrow(
      "there is no connection 'other', only: default",
    );
  });
});

it('two applications in one process share nothing', async () => {
  const imports = [RedisModule.forRoot(EMBEDDED)];
  const [first, second] = await Promise.all([boot({ imports }), boot({ imports })]);
  const [a, b] = [first.app.get(RedisAdapter), second.app.get(RedisAdapter)];
  expect(a).not.toBe(b);
  await a.set('k', 1);
  expect(await b.get('k')).toBeUndefined();
  await first.app.close();
  await expect(a.get('k')).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
  expect(await b.get('k')).toBeUndefined();
});
