/**
 * `nest add @anbar/nestjs-redis`. A schematic is a function of a tree of files and a context; this one uses three
 * methods of each and needs no package at run time.
 */
import { addToModule, type Wanted } from './app-module.js';

export interface NestAddOptions {
  /** @default 'src' */
  readonly sourceRoot?: string | undefined;
  readonly health?: boolean | undefined;
  readonly metrics?: boolean | undefined;
  readonly docker?: boolean | undefined;
}

/** Of the tree of @angular-devkit/schematics. */
export interface Tree {
  read(path: string): Uint8Array | null;
  overwrite(path: string, content: string): void;
  create(path: string, content: string): void;
}

/** Of its context. */
export interface Context {
  readonly logger: { info(message: string): void; warn(message: string): void };
}

export type Rule = (tree: Tree, context: Context) => Tree;

const PACKAGE = '@anbar/nestjs-redis';
/** What is asked for from outside the package. */
const PEERS = { 'class-transformer': '^0.5.1', 'class-validator': '^0.15.1' } as const;
/** Of the same number as Nest itself. */
const TERMINUS = '@nestjs/terminus';
const METRICS_PEERS = { '@willsoto/nestjs-prometheus': '^6.1.1', 'prom-client': '^15.1.3' } as const;

const ENVIRONMENT = `# Redis. Without an address the module runs embedded: in this process, gone at its exit.
REDIS_URL=redis://localhost:6379
# REDIS_CACHE_TTL=3600
# REDIS_SESSION_TTL=86400
`;

const COMPOSE = `services:
  redis:
    image: redis:7-alpine
    command: redis-server --appendonly yes
    ports:
      - '127.0.0.1:6379:6379'
    volumes:
      - redis-data:/data
    healthcheck:
      test: ['CMD', 'redis-cli', 'ping']
      interval: 5s
      timeout: 2s
      retries: 12
volumes:
  redis-data:
`;

export function nestAdd(options: NestAddOptions = {}): Rule {
  return (tree, context) => {
    for (const wanted of modulesOf(options)) addModule({ tree, context, options }, wanted);
    addDependencies(tree, context, options);
    addEnvironment(tree, context);
    if (options.docker === true) addCompose(tree, context);
    return tree;
  };
}

function modulesOf({ health, metrics }: NestAddOptions): readonly Wanted[] {
  const further = (name: string): Wanted => ({
    name,
    from: `${PACKAGE}/monitoring`,
    entry: `${name}.forRoot()`,
  });
  return [
    { name: 'RedisModule', from: PACKAGE, entry: 'RedisModule.forRoot()' },
    ...(health === true ? [further('RedisHealthModule')] : []),
    ...(metrics === true ? [further('RedisMetricsModule')] : []),
  ];
}

function addModule(
  { tree, context, options }: { tree: Tree; context: Context; options: NestAddOptions },
  wanted: Wanted,
): void {
  const { sourceRoot = 'src' } = options;
  const path = `${sourceRoot === '' ? '' : `${sourceRoot}/`}app.module.ts`;
  const text = textOf(tree, path);
  if (text === undefined) return byHand(context, wanted, `there is no ${path}`);
  const edited = addToModule(text, wanted);
  switch (edited.outcome) {
    case 'there':
      context.logger.info(`${path} has ${wanted.name} already.`);
      return undefined;
    case 'refused':
      return byHand(context, wanted, `${path} was left as it is: ${edited.why}`);
    case 'changed':
      tree.overwrite(path, edited.text);
      return undefined;
  }
}

function byHand({ logger }: Context, { name, from, entry }: Wanted, why: string): void {
  logger.warn(
    `${why}. Add these two by hand:\n` +
      `  import { ${name} } from '${from}';\n` +
      `  @Module({ imports: [${entry}] })`,
  );
}

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

function addDependencies(tree: Tree, context: Context, { health, metrics }: NestAddOptions): void {
  const text = textOf(tree, 'package.json');
  if (text === undefined) {
    context.logger.warn('there is no package.json, so no dependency was added.');
    return;
  }
  const manifest = JSON.parse(text) as Manifest;
  const { dependencies = {}, devDependencies = {} } = manifest;
  const nest = /^\D*11\b/u.test(dependencies['@nestjs/core'] ?? '') ? '^11.0.0' : '^12.0.0';
  const wanted: Readonly<Record<string, string>> = {
    ...PEERS,
    ...(health === true ? { [TERMINUS]: nest } : {}),
    ...(metrics === true ? METRICS_PEERS : {}),
  };
  const missing = Object.entries(wanted).filter(
    ([name]) => !(name in dependencies) && !(name in devDependencies),
  );
  if (missing.length === 0) return;
  manifest.dependencies = sorted({ ...dependencies, ...Object.fromEntries(missing) });
  const indent = /^\{\r?\n([ \t]+)/u.exec(text)?.[1] ?? 2;
  tree.overwrite('package.json', `${JSON.stringify(manifest, null, indent)}\n`);
  const names = missing.map(([name]) => name).join(' and ');
  context.logger.info(`package.json has ${names} now: run the install of your package manager once.`);
}

function addEnvironment(tree: Tree, context: Context): void {
  const path = '.env.example';
  const text = textOf(tree, path);
  if (text === undefined) tree.create(path, ENVIRONMENT);
  else if (/^\s*#?\s*REDIS_URL\s*=/mu.test(text)) context.logger.info(`${path} has REDIS_URL already.`);
  else tree.overwrite(path, `${text.trimEnd()}\n\n${ENVIRONMENT}`);
}

function addCompose(tree: Tree, context: Context): void {
  const present = ['docker-compose.yml', 'docker-compose.yaml', 'compose.yml', 'compose.yaml'].find(
    (path) => textOf(tree, path) !== undefined,
  );
  if (present === undefined) tree.create('docker-compose.yml', COMPOSE);
  else context.logger.warn(`${present} was left as it is. A Redis in it looks like this:\n${COMPOSE}`);
}

function textOf(tree: Tree, path: string): string | undefined {
  const bytes = tree.read(path);
  return bytes === null ? undefined : Buffer.from(bytes).toString('utf8');
}

function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
