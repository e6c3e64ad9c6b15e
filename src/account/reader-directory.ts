/** Who may come in: by name and password, or, for programs, by a reader's card. */
import { timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { ShopDatabase } from '../storage/shop-database.js';
import { cardDigest, passwordDigest } from '../storage/reader-secrets.js';

@Injectable()
export class ReaderDirectory {
  readonly #database: ShopDatabase;

  constructor(@Inject(ShopDatabase) database: ShopDatabase) {
    this.#database = database;
  }

  /** The reader's id, if the password is theirs. */
  async byPassword(id: string, password: string): Promise<string | undefined> {
    const [found] = this.#database.peek('SELECT password FROM readers WHERE id = ?', [id]);
    // Worked out for unknown names too, so that the time taken does not tell who is a reader.
    const given = Buffer.from(await passwordDigest(id, password));
    const known = Buffer.from(String(found?.['password'] ?? ''));
    return given.length === known.length && timingSafeEqual(given, known) ? id : undefined;
  }

  byCard(card: string): string | undefined {
    const [found] = this.#database.peek('SELECT id FROM readers WHERE card = ?', [cardDigest(card)]);
    return found === undefined ? undefined : String(found['id']);
  }
}
