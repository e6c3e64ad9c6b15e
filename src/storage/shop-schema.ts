/** The tables of the shop, and what is in them on the first day. */
import type { Database } from 'sql.js';
import { cardDigest, passwordDigest } from './reader-secrets.js';

const TABLES = `
  CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT NOT NULL, shelf TEXT NOT NULL, price_cents INTEGER NOT NULL);
  CREATE TABLE readers (id TEXT PRIMARY KEY, name TEXT NOT NULL, password TEXT NOT NULL, card TEXT NOT NULL UNIQUE);
  CREATE TABLE books (id INTEGER PRIMARY KEY, reader TEXT NOT NULL REFERENCES readers, title TEXT NOT NULL,
    UNIQUE (reader, title));
  CREATE TABLE runs (id TEXT PRIMARY KEY, title TEXT NOT NULL, copies INTEGER NOT NULL, state TEXT NOT NULL,
    printed INTEGER NOT NULL);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, product INTEGER NOT NULL REFERENCES products, copies INTEGER NOT NULL,
    status TEXT NOT NULL, changed_at INTEGER NOT NULL);
`;

const PRODUCTS = [
  ['Letterpress cards', 'paper', 450],
  ['Linen notebook', 'paper', 775],
  ['Ink, 50 ml', 'ink', 1_100],
  ['Brass ruler', 'tools', 1_425],
  ['Bone folder', 'tools', 690],
  ['Cotton paper, 100 sheets', 'paper', 2_350],
  ['Vermilion pigment', 'ink', 1_980],
  ['Bookbinding thread', 'tools', 520],
] as const;

/** Names of people, with a password that is their id and a card for programs. */
const READERS = [
  ['ada', 'Ada'],
  ['grace', 'Grace'],
  ['omar', 'Omar'],
] as const;

const BOOKS = [
  ['ada', 'Notes on the Analytical Engine'],
  ['ada', 'Kelidar'],
  ['grace', 'A Manual of Operation for the Calculator'],
  ['omar', 'Rubaiyat'],
  ['omar', 'Treatise on Demonstration of Problems of Algebra'],
] as const;

export async function layOut(database: Database): Promise<void> {
  database.run(TABLES);
  for (const [title, shelf, price] of PRODUCTS)
    database.run('INSERT INTO products (title, shelf, price_cents) VALUES (?, ?, ?)', [title, shelf, price]);
  const passwords = await Promise.all(READERS.map(([id]) => passwordDigest(id, id)));
  for (const [index, [id, name]] of READERS.entries())
    database.run('INSERT INTO readers VALUES (?, ?, ?, ?)', [
      id,
      name,
      passwords[index] ?? '',
      cardDigest(`card-${id}`),
    ]);
  for (const [reader, title] of BOOKS)
    database.run('INSERT INTO books (reader, title) VALUES (?, ?)', [reader, title]);
  database.run("INSERT INTO runs VALUES ('kelidar', 'Kelidar, second printing', 1200, 'done', 1200)");
  database.run("INSERT INTO orders (product, copies, status, changed_at) VALUES (2, 3, 'placed', ?)", [
    Date.now(),
  ]);
}
