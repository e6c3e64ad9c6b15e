import { describe, expect, it } from 'vitest';
import { EndpointTable, type EndpointLimits } from './endpoint-limits.js';
import { InvalidRateLimitError } from './rate-limit.errors.js';
import { checkRateLimit } from './rate-limit.options.js';

const RULE = { limit: 1 } as const;

function namesOf(limits: EndpointLimits): readonly (string | undefined)[] {
  const table = new EndpointTable(limits);
  return Object.keys(limits).flatMap((endpoint) => {
    const [first = '', second = first] = endpoint.split(' ');
    return table
      .rulesFor(second === first ? 'GET' : first, second.replaceAll('*', 'x'))
      .map(({ name }) => name);
  });
}

describe('names of endpoints', () => {
  it('are those of methods and paths where these can be read from them', () => {
    expect(namesOf({ 'POST /login': RULE, '/books': RULE, '/a/b-c/d_e': RULE, '*': RULE })).toEqual([
      'POST.login',
      'books',
      'a.b-c.d_e',
      'any',
    ]);
  });

  it.each([
    ['/books', '/books/*', '/books/**'],
    ['/books', '/books/'],
    ['/any', '*', 'GET *'],
    ['/', '*', '/*'],
    ['/a/b', '/a.b', '/a-b'],
    ['GET /books', '/GET/books', '/GET'],
    ['/کتاب', '/مجله', '/книги', '/журналы'],
    [`/${'long'.repeat(20)}a`, `/${'long'.repeat(20)}b`],
  ])('%s and others have names of their own', (...endpoints) => {
    const names = endpoints.flatMap((endpoint) => namesOf({ [endpoint]: RULE }));
    expect(names).toHaveLength(endpoints.length);
    expect(new Set(names).size).toBe(endpoints.length);
    for (const name of names) expect(name).toMatch(/^[\w.-]{1,64}$/u);
  });

  it('count the rules of one endpoint that have none of their own', () => {
    expect(namesOf({ '/x': [RULE, { ...RULE, name: 'own' }, RULE], '/x/2': RULE })).toEqual([
      'x',
      'own',
      'x.2',
      expect.stringMatching(/^x\.2-[\da-f]{8}$/u),
    ]);
    const long = '/long'.repeat(20);
    expect(new Set(namesOf({ [long]: [RULE, RULE, RULE] })).size).toBe(3);
  });

  it('are shared only by those who say so', () => {
    const shared = { ...RULE, name: 'shared' };
    expect(namesOf({ '/a': shared, '/b': shared })).toEqual(['shared', 'shared']);
    for (const endpoints of [
      { '/a': RULE, '/b': { ...RULE, name: 'a' } },
      { '/a': [shared, shared] },
      { '/a': [{ ...RULE, name: 'a.2' }, RULE, RULE] },
    ]) {
      expect(() => new EndpointTable(endpoints)).toThrow(InvalidRateLimitError);
      expect(() => checkRateLimit({ endpoints })).toThrow(/twice/u);
    }
  });
});

describe('endpoints', () => {
  it.each(['/users/:id', '/:any', 'GET /users/:id/books', '/books/**/page', '/books*', '/books/*name'])(
    '%s would never be met, and is refused',
    (endpoint) => {
      expect(() => checkRateLimit({ endpoints: { [endpoint]: RULE } })).toThrow(/is no endpoint/u);
    },
  );
});

describe('rules of all routes', () => {
  it.each([
    {
      limits: [
        { ...RULE, name: 'all' },
        { ...RULE, name: 'all', by: 'user' as const },
      ],
    },
    { limits: [RULE, { ...RULE, name: 'default' }] },
    { limits: [RULE, RULE, { ...RULE, name: 'default.2' }] },
  ])('of the same name are refused at boot', (options) => {
    expect(() => checkRateLimit(options)).toThrow(/twice/u);
  });
});
