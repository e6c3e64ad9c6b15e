/** Contradictions within one source. Two sources never contradict each other: the code wins. */
import type { Topology } from '../connection/index.js';
import type { Fault } from './invalid-config.error.js';
import type { Field, Layer } from './layer.js';

export const ADDRESS_FIELDS = [
  'url',
  'host',
  'port',
  'cluster',
  'sentinel',
] as const satisfies readonly Field[];

type AddressField = (typeof ADDRESS_FIELDS)[number];

/** A single address is enough to find a cluster; sentinels have to be named with what they watch. */
const FITS: Readonly<Record<Topology, readonly AddressField[]>> = {
  standalone: ['url', 'host', 'port'],
  cluster: ['cluster', 'url', 'host', 'port'],
  sentinel: ['sentinel'],
  embedded: [],
};

export function checkLayer(layer: Layer): readonly Fault[] {
  return [...oneAddress(layer), ...fittingTopology(layer), ...nothingTwice(layer), ...agreeingTls(layer)];
}

function oneAddress(layer: Layer): Fault[] {
  const given = ADDRESS_FIELDS.filter((field) => layer.given.has(field));
  const [first] = given;
  const onlyHostAndPort = given.every((field) => field === 'host' || field === 'port');
  if (first === undefined || given.length === 1 || onlyHostAndPort || repeatsUrl(layer, given)) return [];
  return [
    {
      where: given.map((field) => layer.label(field)).join(', '),
      problem: 'say more than once where Redis is',
      hint: `keep ${layer.label(first)} and leave out the ${given.length === 2 ? 'other' : 'others'}, or the other way round`,
    },
  ];
}

/** Hosting platforms set REDIS_URL and its parts side by side: that is one address, told twice. */
function repeatsUrl({ source, url, options }: Layer, given: readonly AddressField[]): boolean {
  const known = given.every((field) => field === 'url' || field === 'host' || field === 'port');
  if (source !== 'environment' || !known) return false;
  // A URL that cannot be read is a fault of its own; what it would have said is not known.
  if (url === undefined) return true;
  return (options.host ?? url.host) === url.host && (options.port ?? url.port) === url.port;
}

function fittingTopology(layer: Layer): Fault[] {
  const { topology } = layer.options;
  if (topology === undefined) return [];
  const misfits = ADDRESS_FIELDS.filter((field) => layer.given.has(field) && !FITS[topology].includes(field));
  if (misfits.length === 0) return [];
  const where = layer.label('topology');
  return [
    {
      where,
      problem: `'${topology}' does not go with ${misfits.map((field) => layer.label(field)).join(', ')}`,
      hint: `leave out ${where}, or what does not go with it`,
    },
  ];
}

function nothingTwice(layer: Layer): Fault[] {
  const { url, options } = layer;
  if (url === undefined) return [];
  const fields = ['username', 'password', 'db'] as const;
  return fields
    .filter((field) => {
      const [inUrl, apart] = [url[field], options[field]];
      return inUrl !== undefined && apart !== undefined && inUrl !== apart;
    })
    .map((field) => ({
      where: layer.label(field),
      problem: `says something else than ${layer.label('url')} does`,
      hint: 'give it in one place',
    }));
}

function agreeingTls(layer: Layer): Fault[] {
  if (layer.url?.tls !== true || layer.options.tls !== false) return [];
  const hint = "write 'redis://' for a connection without TLS";
  return [{ where: layer.label('tls'), problem: `is false, but ${layer.label('url')} asks for TLS`, hint }];
}
