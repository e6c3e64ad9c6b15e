/** What the database keeps in place of passwords and cards. */
import { createHash, scrypt } from 'node:crypto';
import { promisify } from 'node:util';

const LENGTH = 32;
const derive = promisify<string, string, number, Buffer>(scrypt);

/** Slow to guess. The reader's id is the salt: the seed of a demo has no room for a better one. */
export async function passwordDigest(reader: string, password: string): Promise<string> {
  return (await derive(password, `print-shop:${reader}`, LENGTH)).toString('base64url');
}

/** A card is long and random where it is real, so a plain digest does. */
export function cardDigest(card: string): string {
  return createHash('sha256').update(card).digest('base64url');
}
