/** What the page knows, kept up to date by the stream, or by asking where there is none. */

const STEPS = 720;
const AGAIN_MS = 5_000;
const STREAM_AGAIN_MS = 60_000;

export class ApiError extends Error {
  constructor(message, { hint, status, code } = {}) {
    super(message);
    this.hint = hint;
    this.status = status;
    this.code = code;
  }
}

/** Always relative: wherever the page lies, its API lies below it. */
export async function ask(name, query = {}, headers = {}) {
  const url = new URL(`api/${name}`, document.baseURI);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  let response;
  try {
    response = await fetch(url, { headers, cache: 'no-store' });
  } catch {
    throw new ApiError('The process does not answer.', { hint: 'It is asked again every 5 s.' });
  }
  if (response.status === 304) return undefined;
  const body = await response.json().catch(() => ({}));
  if (response.ok) return { ...body, etag: response.headers.get('etag') ?? undefined };
  const { message = `answered with ${response.status}`, hint, code } = body.error ?? {};
  throw new ApiError(message, { hint, code, status: response.status });
}

export class Live extends EventTarget {
  data;
  /** `'live' | 'asking' | 'lost' | 'paused'` */
  mode = 'asking';
  problem;
  #stream;
  #timer;
  #since = '';
  #lostAt = 0;

  async start() {
    document.addEventListener('visibilitychange', () =>
      document.hidden ? this.#pause() : void this.#resume(),
    );
    await this.#resume();
  }

  series(name, points = STEPS) {
    const values = this.data?.series[name] ?? [];
    const length = Math.min(points, this.data?.points ?? 0);
    return values.length === 0 ? Array.from({ length }, () => 0) : values.slice(-length);
  }

  latest(name) {
    return this.series(name, 1)[0] ?? null;
  }

  async #resume() {
    clearTimeout(this.#timer);
    if (await this.#snapshot()) this.#listen();
    else this.#later(() => this.#resume());
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = undefined;
    this.#set('paused');
  }

  async #snapshot() {
    try {
      const headers = this.data?.etag === undefined ? {} : { 'if-none-match': this.data.etag };
      const data = await ask('snapshot', {}, headers);
      if (data !== undefined) this.data = { ...data, openedAt: data.at };
      this.#since = this.data.since;
      this.problem = undefined;
      this.#set(this.#stream === undefined ? 'asking' : 'live');
      return true;
    } catch (error) {
      this.problem = error;
      this.#set('lost');
      return false;
    }
  }

  #listen() {
    this.#stream?.close();
    const url = new URL('api/stream', document.baseURI);
    url.searchParams.set('since', this.#since);
    const stream = new EventSource(url);
    this.#stream = stream;
    stream.addEventListener('step', (event) => {
      this.#take(event);
      this.#set('live');
    });
    stream.addEventListener('reset', () => void this.#snapshot());
    stream.addEventListener('error', () => {
      if (stream !== this.#stream) return;
      // The browser tries again by itself, unless it was told no: then there is room for no more streams.
      if (stream.readyState === EventSource.CLOSED) {
        this.#stream = undefined;
        this.#lostAt = Date.now();
        void this.#poll();
      } else {
        this.problem = {
          message: 'The process does not answer.',
          hint: 'The page connects again by itself.',
        };
        this.#set('lost');
      }
    });
  }

  async #poll() {
    const there = await this.#snapshot();
    if (there && Date.now() - this.#lostAt > STREAM_AGAIN_MS) this.#listen();
    else this.#later(() => this.#poll());
  }

  #take(event) {
    const { points, series, step, at, state, incidents } = JSON.parse(event.data);
    this.#since = event.lastEventId;
    const { data } = this;
    data.etag = undefined;
    const names = new Set([...Object.keys(data.series), ...Object.keys(series)]);
    for (const name of names) {
      const before = data.series[name] ?? Array.from({ length: data.points }, () => 0);
      const added = series[name] ?? Array.from({ length: points }, () => 0);
      data.series[name] = [...before, ...added].slice(-STEPS);
    }
    data.points = Math.min(STEPS, data.points + points);
    const fresh = new Set(incidents.map(({ id }) => id));
    // One that happened again is told again, under another number, with its count.
    const told = ({ kind, subject, text }) => `${kind}\n${subject}\n${text}`;
    const newest = data.incidents[0];
    const again = incidents.at(-1);
    const rest =
      newest && again && again.times > 1 && told(newest) === told(again)
        ? data.incidents.slice(1)
        : data.incidents;
    Object.assign(data, {
      step,
      at,
      state,
      incidents: [...incidents, ...rest.filter(({ id }) => !fresh.has(id))].slice(0, 50),
    });
  }

  #later(work) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void work(), AGAIN_MS);
  }

  #set(mode) {
    this.mode = mode;
    this.dispatchEvent(new Event('change'));
  }
}
