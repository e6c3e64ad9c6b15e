/**
 * The walls of docs/architecture.md as rules, all at severity error.
 *
 * Who may import whom is data: scripts/layers.json, one line per room. This file turns that table into one rule
 * per room and adds the rules that hold everywhere. test/structure/layering.spec.ts plants one violation per
 * rule and fails when a rule lets its own pass, so a rule without a canary can not be added here.
 */
const TABLE = require('./scripts/layers.json');

const LIBRARY = '^libs/redis/src/';
const TESTING = '^libs/redis/testing/';
const CONFIG = `${LIBRARY}config/`;
/** A file of some room; `$1` in the other half of a rule is the name of that room. */
const IN_A_ROOM = `${LIBRARY}([^/]+)/`;
const SPEC = String.raw`\.spec\.ts$`;
/** Files directly in libs/redis/src are the composition root: they may import every room. */
const ROOT_FILE = `${LIBRARY}[^/]+\\.ts$`;
const DOORS = [`${LIBRARY}index\\.ts$`, `${LIBRARY}[^/]+/index\\.ts$`];
const NEST_EDGE =
  '[.](module|guard|interceptor|decorator|controller|middleware|explorer|health|logger|tokens)([.]spec)?[.]ts$';

const rooms = Object.keys(TABLE);

const layers = Object.entries(TABLE).map(([room, allowed]) => ({
  name: `layer-${room}`,
  comment: `${room} may import: ${allowed.join(', ') || 'nothing'} (scripts/layers.json)`,
  from: { path: `${LIBRARY}${room}/` },
  to: { path: LIBRARY, pathNot: [`${LIBRARY}${room}/`, ...allowed.flatMap(pathsOf)] },
}));

/** An entry of the table as the paths it opens. */
function pathsOf(entry) {
  if (entry === 'every room') return rooms.map((room) => `${LIBRARY}${room}/`);
  return entry.endsWith('.ts') ? [`${LIBRARY}${entry.replace(/\./gu, '\\.')}$`] : [`${LIBRARY}${entry}/`];
}

const everywhere = [
  {
    name: 'room-in-table',
    comment: 'a new room is first written into scripts/layers.json and docs/architecture.md',
    from: {},
    to: { path: IN_A_ROOM, pathNot: rooms.map((room) => `${LIBRARY}${room}/`) },
  },
  {
    name: 'through-the-door',
    comment: 'a room is entered through its index.ts',
    from: { path: IN_A_ROOM },
    to: { path: `${LIBRARY}[^/]+/`, pathNot: [`${LIBRARY}$1/`, ...DOORS] },
  },
  {
    name: 'through-the-door-from-outside',
    comment:
      'the composition root, the testing entry, the demo and the tests enter a room through its index.ts too',
    from: { path: '.', pathNot: `${LIBRARY}[^/]+/` },
    to: { path: `${LIBRARY}[^/]+/`, pathNot: DOORS },
  },
  {
    name: 'own-door',
    comment: 'inside its room a file imports the file it means, not the index.ts that lists it',
    from: { path: IN_A_ROOM },
    to: { path: `${LIBRARY}$1/index\\.ts$` },
  },
  {
    name: 'own-door-root',
    comment: 'index.ts of the library is for users; nothing in libs/redis/src imports it',
    from: { path: LIBRARY },
    to: { path: `${LIBRARY}index\\.ts$` },
  },
  {
    name: 'own-door-testing',
    comment: 'as own-door, for libs/redis/testing',
    from: { path: TESTING },
    to: { path: `${TESTING}index\\.ts$` },
  },
  {
    name: 'no-cycles',
    comment: 'type-only imports count',
    from: {},
    to: { circular: true },
  },
  {
    name: 'driver-only-in-connection',
    comment: 'everything else sees Redis through the RedisClient port',
    from: { path: '.', pathNot: `${LIBRARY}connection/` },
    to: { path: '(^|/)node_modules/(@redis|ioredis|redis)/' },
  },
  {
    name: 'nest-only-at-the-edge',
    comment: 'engines run without Nest: name the file *.module.ts, *.guard.ts … or move the Nest part out',
    from: { path: LIBRARY, pathNot: NEST_EDGE },
    to: { path: '(^|/)node_modules/@nestjs/' },
  },
  {
    name: 'demo-by-package-name',
    comment: 'src/ uses the library as any user would',
    from: { path: '^src/' },
    to: { path: '^libs/', dependencyTypesNot: ['aliased'] },
  },
  {
    name: 'library-knows-no-user',
    comment: 'the library imports neither the demo nor the tests',
    from: { path: '^libs/' },
    to: { path: '^(src|test|bench|scripts)/' },
  },
  {
    name: 'config-only-from-the-root',
    comment: 'options reach a room resolved; only the composition root reads the configuration',
    from: { path: '^libs/', pathNot: [ROOT_FILE, CONFIG] },
    to: { path: CONFIG },
  },
  {
    name: 'testing-only-in-specs',
    comment: 'no test double in production code',
    from: { path: '^(libs/redis/src|src)/', pathNot: SPEC },
    to: { path: TESTING },
  },
  {
    name: 'no-spec-imported',
    comment: 'what two specs share is a file of its own',
    from: {},
    to: { path: SPEC },
  },
  {
    name: 'no-orphan',
    comment: 'a file nothing imports and that imports nothing',
    from: { orphan: true, pathNot: SPEC },
    to: {},
  },
  {
    name: 'resolvable',
    comment: 'an import that is not found escapes all the other rules',
    from: {},
    to: { couldNotResolve: true },
  },
];

module.exports = {
  forbidden: [...layers, ...everywhere].map((rule) => ({ ...rule, severity: 'error' })),
  options: {
    doNotFollow: { path: 'node_modules' },
    // Examples of the docs are written there while their test runs.
    exclude: { path: '(^|/)(?:dist|\\.examples)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
