/** What is allowed, and probably not what was meant: lines for the boot log. */
import type { Duration } from '../core/index.js';
import type { Layer } from './layer.js';

/** A call that may take this long is no deadline any more, and in milliseconds it is a usual value. */
const SUSPICIOUS_SECONDS = 60;

export function warningsOf(layers: readonly Layer[]): readonly string[] {
  return layers.flatMap((layer) => [
    ...plainNumbers(layer),
    ...uncheckedTls(layer),
    ...unusedParameters(layer),
  ]);
}

function plainNumbers({ options, label }: Layer): string[] {
  return (['timeout', 'connectTimeout', 'heartbeat'] as const).flatMap((field) => {
    const value: Duration | undefined = options[field];
    if (typeof value !== 'number' || value < SUSPICIOUS_SECONDS) return [];
    return [`${label(field)}: ${value} means ${value} seconds; for milliseconds write '${value}ms'`];
  });
}

function uncheckedTls({ options, label }: Layer): string[] {
  if (typeof options.tls !== 'object' || options.tls.rejectUnauthorized !== false) return [];
  return [
    `${label('tls')}: any certificate is accepted, so anybody in between can read and change everything`,
  ];
}

function unusedParameters({ url, label }: Layer): string[] {
  const names = (url?.ignored ?? []).filter((name) => /^[a-z][\w-]{0,30}$/iu.test(name));
  return names.map(
    (name) => `${label('url')}: the parameter '${name}' means nothing here; use the option of that purpose`,
  );
}
