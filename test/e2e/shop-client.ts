/** Asks a shop as a visitor does: with a cookie that is kept, and JSON both ways. */
import { request } from 'node:http';

export interface Answer<T = unknown> {
  readonly status: number;
  readonly body: T;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export interface Asked {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** As behind one load balancer: whichever process is asked, it is the same shop, which answers of routes are kept by. */
const HOST = 'shop.test';

export class Visitor {
  readonly #url: string;
  cookie: string | undefined;

  constructor(url: string, cookie?: string) {
    this.#url = url;
    this.cookie = cookie;
  }

  get<T = unknown>(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer<T>> {
    return this.ask('GET', path, { headers });
  }

  post<T = unknown>(
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> {
    return this.ask('POST', path, { body, headers });
  }

  async ask<T = unknown>(
    method: string,
    path: string,
    { body, headers = {} }: Asked = {},
  ): Promise<Answer<T>> {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const answer = await send(`${this.#url}${path}`, {
      method,
      sent,
      headers: {
        host: HOST,
        ...(this.cookie === undefined ? {} : { cookie: this.cookie }),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    });
    const given = answer.headers['set-cookie'];
    if (given !== undefined) this.cookie = given.includes('Max-Age=0') ? undefined : given.split(';', 1)[0];
    return answer as Answer<T>;
  }
}

interface Sending {
  readonly method: string;
  readonly sent: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** `fetch` would put a host of its own. */
function send(url: string, { method, sent, headers }: Sending): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const isJson = response.headers['content-type']?.includes('json') === true && text !== '';
        const flat = Object.entries(response.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(', ') : value,
        ]);
        resolve({
          status: response.statusCode ?? 0,
          body: isJson ? (JSON.parse(text) as unknown) : text,
          headers: Object.fromEntries(flat) as Answer['headers'],
        });
      });
    });
    asking.on('error', reject);
    asking.end(sent);
  });
}
