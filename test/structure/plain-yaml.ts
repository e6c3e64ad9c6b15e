/**
 * As much of YAML as docker-compose.yml uses: maps, lists, `['a', 'b']`, quoted and plain scalars, `>-`. Everything else
 * is an error, so that nothing is read otherwise than it is meant. Scalars stay texts.
 */
export type Yaml = string | Yaml[] | { [key: string]: Yaml };

interface Line {
  readonly indent: number;
  readonly text: string;
  readonly number: number;
}

export function parseYaml(source: string): Yaml {
  const lines = source.split('\n').flatMap((raw, i): Line[] => {
    if (raw.includes('\t')) throw new Error(`line ${i + 1}: a tab`);
    const text = raw.trim();
    if (text === '' || text.startsWith('#')) return [];
    return [{ indent: raw.length - raw.trimStart().length, text, number: i + 1 }];
  });
  const reader = new Reader(lines);
  const value = reader.block(0);
  if (!reader.done) throw reader.fault('is indented otherwise than its neighbours');
  return value;
}

const KEY = /^([\w.$/-]+):(?: (.*))?$/u;

class Reader {
  readonly #lines: readonly Line[];
  #at = 0;

  constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  get done(): boolean {
    return this.#at >= this.#lines.length;
  }

  fault(what: string): Error {
    return new Error(`line ${this.#lines[this.#at]?.number ?? 'last'}: ${what}`);
  }

  block(indent: number): Yaml {
    return this.#lines[this.#at]?.text.startsWith('- ') === true ? this.#list(indent) : this.#map(indent);
  }

  #map(indent: number): Yaml {
    const map: { [key: string]: Yaml } = {};
    for (let line = this.#next(indent); line !== undefined; line = this.#next(indent)) {
      const [, key, rest] = KEY.exec(line.text) ?? [];
      if (key === undefined) throw this.fault('is no `key: value`');
      if (Object.hasOwn(map, key)) throw this.fault(`has the key '${key}' a second time`);
      this.#at += 1;
      map[key] = rest === undefined ? this.#nested(indent) : this.#scalar(rest, indent);
    }
    return map;
  }

  #list(indent: number): Yaml[] {
    const list: Yaml[] = [];
    for (let line = this.#next(indent); line?.text.startsWith('- ') === true; line = this.#next(indent)) {
      this.#at += 1;
      list.push(this.#scalar(line.text.slice(2), indent));
    }
    return list;
  }

  #next(indent: number): Line | undefined {
    const line = this.#lines[this.#at];
    return line?.indent === indent ? line : undefined;
  }

  #nested(above: number): Yaml {
    const line = this.#lines[this.#at];
    return line !== undefined && line.indent > above ? this.block(line.indent) : '';
  }

  #scalar(text: string, indent: number): Yaml {
    if (text === '>-') return this.#folded(indent);
    if (text.startsWith('[')) return flow(text);
    if (/^[&*!|>{%@`]/u.test(text))
      throw this.fault(`begins with '${text.slice(0, 1)}', which is not read here`);
    if (text.startsWith("'")) return unquoted(text);
    return text.replace(/ #.*$/u, '');
  }

  #folded(indent: number): string {
    const parts: string[] = [];
    for (let line = this.#lines[this.#at]; line !== undefined && line.indent > indent;) {
      parts.push(line.text);
      this.#at += 1;
      line = this.#lines[this.#at];
    }
    return parts.join(' ');
  }
}

function flow(text: string): Yaml[] {
  const items = [...text.matchAll(/'((?:[^']|'')*)'/gu)].map(([, item = '']) => item.replaceAll("''", "'"));
  const written = `[${items.map((item) => `'${item.replaceAll("'", "''")}'`).join(', ')}]`;
  if (written !== text) throw new Error(`${text}: a list is written with every item in single quotes`);
  return items;
}

function unquoted(text: string): string {
  const [, inside] = /^'((?:[^']|'')*)'$/u.exec(text) ?? [];
  if (inside === undefined) throw new Error(`${text}: the quote is not closed`);
  return inside.replaceAll("''", "'");
}
