/** The figures for an application of Nest, by nestjs-prometheus: with the route, or beside those it has already. */
import {
  Inject,
  Module,
  type DynamicModule,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { optionalPeer } from '../../core/index.js';
import { METRICS, type MetricName } from './catalogue.js';
import { createMetricsController, type MetricsGuard } from './metrics.controller.js';
import { METRICS_DEFAULTS } from './metrics.options.js';
import { METRICS_REGISTRY } from './metrics.tokens.js';
import type { MetricDefinition } from './metric.js';
import { assertFree, removeGuests, showIn, type MetricRegistry } from './prom-registry.js';
import { RedisMetrics } from './redis-metrics.js';

export interface RedisMetricsModuleOptions {
  /** Where the route lies. @default 'metrics' */
  readonly path?: string | undefined;
  /** `false` in an application that registers `PrometheusModule` itself: only the figures are added. @default true */
  readonly endpoint?: boolean | undefined;
  /** Figures of the process as well: memory, garbage collection, the event loop. @default true */
  readonly process?: boolean | undefined;
  /** In front of the route. @default none */
  readonly guards?: readonly MetricsGuard[] | undefined;
}

type Peers = typeof import('@willsoto/nestjs-prometheus');

/** What `make*Provider` returns. */
interface MadeProvider {
  readonly provide: string;
  readonly inject: readonly unknown[];
  useFactory(options: unknown): { name: string };
}

/** Of what prom-client itself gives out; a second registration of it would be refused. */
const FIRST_OF_PROCESS = 'process_cpu_user_seconds_total';

@Module({})
export class RedisMetricsModule implements OnModuleInit, OnApplicationShutdown {
  readonly #metrics: RedisMetrics;
  readonly #registry: MetricRegistry;

  constructor(
    @Inject(RedisMetrics) metrics: RedisMetrics,
    @Inject(METRICS_REGISTRY) registry: MetricRegistry,
  ) {
    this.#metrics = metrics;
    this.#registry = registry;
  }

  /**
   * ```ts
   * @Module({ imports: [RedisModule.forRoot(), RedisMetricsModule.forRoot()] })
   * ```
   * Needs `@willsoto/nestjs-prometheus` and `prom-client`.
   */
  static async forRoot(options: RedisMetricsModuleOptions = {}): Promise<DynamicModule> {
    const wantedBy = 'RedisMetricsModule';
    const { register } = await optionalPeer('prom-client', wantedBy, () => import('prom-client'));
    const peers = await optionalPeer(
      '@willsoto/nestjs-prometheus',
      wantedBy,
      () => import('@willsoto/nestjs-prometheus'),
    );
    const registry: MetricRegistry = register;
    const providers = METRICS.map((definition) => providerOf(peers, definition, registry));
    return {
      module: RedisMetricsModule,
      imports: options.endpoint === false ? [] : [endpointOf(peers, options, registry)],
      providers: [{ provide: METRICS_REGISTRY, useValue: registry }, ...providers],
      exports: providers,
    };
  }

  onModuleInit(): void {
    this.#metrics.start();
  }

  /** Another application in this process may have the names next. */
  onApplicationShutdown(): void {
    removeGuests(this.#registry, this.#metrics);
  }
}

function endpointOf(
  { PrometheusModule, PrometheusController }: Peers,
  { path = 'metrics', process = true, guards = [] }: RedisMetricsModuleOptions,
  registry: MetricRegistry,
): DynamicModule {
  const enabled = process && registry.getSingleMetric(FIRST_OF_PROCESS) === undefined;
  return PrometheusModule.register({
    path,
    controller: createMetricsController(PrometheusController, guards),
    defaultMetrics: { enabled },
  });
}

/** Injected by the default name, `@InjectMetric('anbar_cache_requests_total')`, whatever the prefix is. */
function providerOf(peers: Peers, definition: MetricDefinition, registry: MetricRegistry): Provider {
  const { provide, inject } = made(peers, definition, `${METRICS_DEFAULTS.prefix}${definition.name}`);
  return {
    provide,
    inject: [RedisMetrics, ...(inject as [])],
    useFactory(metrics: RedisMetrics, options: { customMetricPrefix?: string } | undefined) {
      const family = metrics.family(definition.name as MetricName);
      if (family === undefined) return undefined;
      const { customMetricPrefix } = options ?? {};
      assertFree(registry, customMetricPrefix ? `${customMetricPrefix}_${family.name}` : family.name);
      const metric = made(peers, definition, family.name).useFactory(options);
      showIn(metric, metrics, family);
      return metric;
    },
  };
}

function made(peers: Peers, definition: MetricDefinition, name: string): MadeProvider {
  const { type, help, labels, buckets = [], aggregator = 'sum' } = definition;
  const common = { name, help, labelNames: Object.keys(labels), aggregator };
  const provider =
    type === 'counter'
      ? peers.makeCounterProvider(common)
      : type === 'gauge'
        ? peers.makeGaugeProvider(common)
        : peers.makeHistogramProvider({ ...common, buckets: [...buckets] });
  return provider as unknown as MadeProvider;
}
