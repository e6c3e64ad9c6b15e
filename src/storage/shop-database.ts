/**
 * The shop's database: SQLite as WebAssembly, so that nothing has to be compiled, in a file that several processes
 * may share. It takes its time on purpose: a cache is worth seeing in front of something slow.
 */
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import initSqlJs, { type Database, type SqlJsStatic, type SqlValue } from 'sql.js';
import { DatabaseFault } from './database-fault.js';
import { FileLock } from './file-lock.js';
import { layOut } from './shop-schema.js';

export type Row = Readonly<Record<string, SqlValue>>;
export type Values = readonly (string | number | null)[];

/** What a change may do; all of it counts, or none. */
export interface Change {
  readonly rows: (sql: string, values?: Values) => Row[];
  readonly run: (sql: string, values?: Values) => void;
}

/** How long a question takes. */
const QUERY_MS = 120;
export const IN_MEMORY = ':memory:';
const DEFAULT_FILE = fileURLToPath(new URL('../../.data/print-shop.sqlite', import.meta.url));

@Injectable()
export class ShopDatabase implements OnModuleInit {
  /** A path, or `:memory:`. */
  readonly place: string;
  readonly #lock: FileLock;
  #sqlite: SqlJsStatic | undefined;
  #database: Database | undefined;
  /** Which state of the file is the one that is open here. */
  #seen = '';
  #queries = 0;

  constructor() {
    const chosen = process.env['DEMO_DATABASE'] ?? '';
    this.place = chosen === IN_MEMORY ? IN_MEMORY : resolve(chosen === '' ? DEFAULT_FILE : chosen);
    this.#lock = new FileLock(`${this.place}.lock`);
  }

  async onModuleInit(): Promise<void> {
    this.#sqlite = await initSqlJs();
    if (!this.#shared) {
      this.#database = await this.#fresh();
      return;
    }
    try {
      mkdirSync(dirname(this.place), { recursive: true });
      const fresh = fingerprint(this.place) === '' ? await this.#fresh() : undefined;
      await this.#lock.hold(() => {
        // Another process may have been first.
        if (fresh !== undefined && fingerprint(this.place) === '') {
          this.#database = fresh;
          this.#save();
        }
        this.#follow();
      });
    } catch (error) {
      throw new DatabaseFault(this.place, error);
    }
  }

  /** How many slow questions this process has asked. */
  get queries(): number {
    return this.#queries;
  }

  /** Asks, slowly. */
  async ask(sql: string, values: Values = []): Promise<Row[]> {
    this.#queries += 1;
    await pause(QUERY_MS);
    return this.peek(sql, values);
  }

  /** Looks up what has an index: at once. */
  peek(sql: string, values: Values = []): Row[] {
    this.#follow();
    return rowsOf(this.#open(), sql, values);
  }

  /** Changes the file together with what is in memory; other processes see it with their next question. */
  async change<T>(work: (change: Change) => T): Promise<T> {
    if (!this.#shared) return this.#transact(work);
    return this.#lock.hold(() => {
      this.#follow();
      const result = this.#transact(work);
      this.#save();
      return result;
    });
  }

  get #shared(): boolean {
    return this.place !== IN_MEMORY;
  }

  async #fresh(): Promise<Database> {
    const database = new (this.#require().Database)();
    await layOut(database);
    return database;
  }

  #transact<T>(work: (change: Change) => T): T {
    const database = this.#open();
    database.run('BEGIN');
    try {
      const result = work({
        rows: (sql, values = []) => rowsOf(database, sql, values),
        run: (sql, values = []) => void database.run(sql, [...values]),
      });
      database.run('COMMIT');
      return result;
    } catch (error) {
      database.run('ROLLBACK');
      throw error;
    }
  }

  /** Another process may have put a new file in the place of the one that was read here. */
  #follow(): void {
    if (!this.#shared) return;
    const present = fingerprint(this.place);
    if (present === this.#seen || present === '') return;
    const database = new (this.#require().Database)(readFileSync(this.place));
    // What is no database is found out by the first question, so that one is asked here.
    rowsOf(database, 'SELECT count(*) FROM products', []);
    this.#database?.close();
    this.#database = database;
    this.#seen = present;
  }

  /** Whole or not at all: a reader never finds half a file. */
  #save(): void {
    const written = `${this.place}.${process.pid}.new`;
    writeFileSync(written, this.#open().export());
    renameSync(written, this.place);
    this.#seen = fingerprint(this.place);
  }

  #open(): Database {
    if (this.#database === undefined) throw new Error('the database is asked before it was opened');
    return this.#database;
  }

  #require(): SqlJsStatic {
    if (this.#sqlite === undefined) throw new Error('SQLite is asked for before it was loaded');
    return this.#sqlite;
  }
}

function rowsOf(database: Database, sql: string, values: Values): Row[] {
  const statement = database.prepare(sql);
  try {
    statement.bind([...values]);
    const rows: Row[] = [];
    while (statement.step()) rows.push(statement.getAsObject());
    return rows;
  } finally {
    statement.free();
  }
}

/** Empty when there is no such file. Every save makes a new one, so its number tells them apart. */
function fingerprint(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '' : `${found.ino}:${found.mtimeNs}:${found.size}`;
}
