/** The books of readers, each reader's own. */
import { Inject, Injectable } from '@nestjs/common';
import { ShopDatabase, type Row } from '../storage/shop-database.js';

export interface Book {
  readonly id: number;
  readonly title: string;
}

@Injectable()
export class BookCollection {
  readonly #database: ShopDatabase;

  constructor(@Inject(ShopDatabase) database: ShopDatabase) {
    this.#database = database;
  }

  async of(reader: string): Promise<Book[]> {
    const rows = await this.#database.ask('SELECT id, title FROM books WHERE reader = ? ORDER BY id', [
      reader,
    ]);
    return rows.map(toBook);
  }

  /** Twice the same book is one book, so that a client may send it again. */
  add(reader: string, title: string): Promise<Book> {
    return this.#database.change(({ run, rows }) => {
      run('INSERT OR IGNORE INTO books (reader, title) VALUES (?, ?)', [reader, title]);
      const [row] = rows('SELECT id, title FROM books WHERE reader = ? AND title = ?', [reader, title]);
      return toBook(row ?? {});
    });
  }

  remove(reader: string, id: number): Promise<boolean> {
    return this.#database.change(({ run, rows }) => {
      const found = rows('SELECT id FROM books WHERE reader = ? AND id = ?', [reader, id]).length > 0;
      run('DELETE FROM books WHERE reader = ? AND id = ?', [reader, id]);
      return found;
    });
  }
}

function toBook(row: Row): Book {
  return { id: Number(row['id']), title: String(row['title']) };
}
