/** `host`, `host:port`, `[::1]:port`: where one server is, as people write it. */
import type { Address } from '../connection/index.js';
import { showUrl } from './masking.js';
import type { Outcome } from './outcome.js';
import { isHost, port as portRule } from './rule.js';

const HINT = "write 'host:port', and an IPv6 address in brackets: '[::1]:6379'";

/** `shown` is what a fault quotes: the address itself, or the URL it stands in. */
export function readAddress(text: string, defaultPort: number, shown = showUrl(text)): Outcome<Address> {
  const match = /^(?:\[(?<six>[^\]]*)\]|(?<name>[^:]*))(?::(?<port>[^:]*))?$/u.exec(text.trim());
  const { six, name, port } = match?.groups ?? {};
  const host = six ?? name ?? '';
  const number = port === undefined ? defaultPort : readWhole(port);
  if (match === null || !isHost(host)) {
    return { ok: false, problem: `${shown}: its host is not a host name or an IP address`, hint: HINT };
  }
  if (!portRule.holds(number))
    return { ok: false, problem: `${shown}: its port is not a whole number from 1 to 65535` };
  return { ok: true, value: { host, port: number } };
}

/** `NaN` for anything but decimal digits: `Number` would take `' '`, `'1e3'` and `'0x10'` too. */
export function readWhole(text: string): number {
  return /^\d+$/u.test(text) ? Number(text) : Number.NaN;
}
