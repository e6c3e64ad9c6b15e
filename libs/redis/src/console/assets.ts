/** The files of the page, read once and kept: they are few and small. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { ConsoleAssetsMissingError } from './console.errors.js';
import { send, sendEmpty, type Exchange } from './exchange.js';

interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
  readonly packed: Buffer;
  readonly etag: string;
}

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/** From the sources, and from what they are built into. */
const PLACES = ['../../assets/console/', '../../../assets/console/'];

export const PAGE = 'index.html';

export class Assets {
  readonly #files: ReadonlyMap<string, Asset>;

  constructor() {
    const folder = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url))).find((path) =>
      existsSync(path + PAGE),
    );
    if (folder === undefined) {
      throw new ConsoleAssetsMissingError('the files of the Redis console are not beside the package', {
        hint: 'keep the package external to your bundle, or copy its folder assets/ beside the output',
      });
    }
    this.#files = new Map(
      readdirSync(folder).map((name) => [name, assetOf(name, readFileSync(folder + name))]),
    );
  }

  get names(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** @returns whether there is such a file */
  send(exchange: Exchange, name: string): boolean {
    const asset = this.#files.get(name);
    if (asset === undefined) return false;
    const { headers } = exchange.request;
    // Asked about each time, as the name stays when the content changes with a new version.
    const common = { etag: asset.etag, 'cache-control': 'no-cache', vary: 'accept-encoding' };
    if (headers['if-none-match'] === asset.etag) {
      sendEmpty(exchange, 304, common);
      return true;
    }
    const packs = /\bgzip\b/u.test(headers['accept-encoding'] ?? '');
    send(exchange, {
      type: asset.type,
      bytes: packs ? asset.packed : asset.bytes,
      headers: packs ? { ...common, 'content-encoding': 'gzip' } : common,
    });
    return true;
  }
}

function assetOf(name: string, bytes: Buffer): Asset {
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
  const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 16)}"`;
  return { type, bytes, packed: gzipSync(bytes), etag };
}
