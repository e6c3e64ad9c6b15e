/**
 * Which shard owns which of 16,384 slots. A key is looked up by one index into an array, whatever the number of
 * shards; who gets a slot is drawn by weighted rendezvous from stable ids, within exact quotas.
 *
 * Rendezvous alone leaves a shard of 64 up to a fifth above its share, as 256 slots are few draws. Quotas make
 * the shares exact; filling them from the table before keeps a change minimal: a new shard takes slots from all
 * and nothing moves between the others. So a table has a past, and a fleet has to share it: `toText`.
 */
import { SLOT_COUNT, tagSlot } from '../../connection/index.js';

export interface SlotShare {
  /** Stable: not an address. */
  readonly id: string;
  /** 0 for none. */
  readonly weight: number;
}

/** Owners are kept in one byte. */
const MOST_SHARDS = 255;
const NOBODY = 255;
const OPEN = '%7B';
const CLOSE = '%7D';

/** The slot of a key as it stands in Redis; braces in it are escaped there. `{tag}` decides alone, if it is there. */
export function slotOf(logicalKey: string): number {
  // Most keys hold nothing that was escaped, and a single sign is found several times as fast as three.
  const escaped = logicalKey.indexOf('%');
  if (escaped === -1) return tagSlot(logicalKey);
  const open = logicalKey.indexOf(OPEN, escaped);
  if (open === -1) return tagSlot(logicalKey);
  const start = open + OPEN.length;
  const close = logicalKey.indexOf(CLOSE, start);
  return tagSlot(close <= start ? logicalKey : logicalKey.slice(start, close));
}

export class SlotTable {
  /** Those who own slots, sorted. */
  readonly ids: readonly string[];
  readonly #owners: Uint8Array;

  private constructor(ids: readonly string[], owners: Uint8Array) {
    this.ids = ids;
    this.#owners = owners;
  }

  /** The first table of these shares, the same in whatever order they are given. */
  static of(shares: readonly SlotShare[]): SlotTable {
    return new SlotTable([], new Uint8Array(SLOT_COUNT).fill(NOBODY)).with(shares);
  }

  static fromText(text: string): SlotTable {
    const [names = '', owners = ''] = text.split('\n');
    return new SlotTable(names.split(' '), Uint8Array.from(Buffer.from(owners, 'base64')));
  }

  toText(): string {
    return `${this.ids.join(' ')}\n${Buffer.from(this.#owners).toString('base64')}`;
  }

  /** Undefined while nobody has a weight. */
  ownerOf(slot: number): string | undefined {
    return this.ids[this.#owners[slot] ?? NOBODY];
  }

  /** How many slots each has. */
  counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const owner of this.#owners) {
      const id = this.ids[owner];
      if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  /** Slots whose owner is another one in the other table. */
  movedTo(other: SlotTable): number {
    let moved = 0;
    for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
      if (this.ownerOf(slot) !== other.ownerOf(slot)) moved += 1;
    }
    return moved;
  }

  /** The table of these shares that moves the fewest slots. */
  with(shares: readonly SlotShare[]): SlotTable {
    const entitled = shares.filter(({ weight }) => weight > 0);
    const ids = entitled.map(({ id }) => id).toSorted();
    if (ids.length > MOST_SHARDS) throw new RangeError(`a slot table has room for ${MOST_SHARDS} shards`);
    const owners = new Uint8Array(SLOT_COUNT).fill(NOBODY);
    if (ids.length === 0) return new SlotTable(ids, owners);
    const places = new Map(ids.map((id, place) => [id, place]));
    for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
      owners[slot] = places.get(this.ownerOf(slot) ?? '') ?? NOBODY;
    }
    const draw = new Draw(ids, entitled);
    const lacking = lackOf(owners, draw.quotas);
    releaseExcess(owners, lacking, draw);
    fill(owners, lacking, draw);
    return new SlotTable(ids, owners);
  }
}

/** The shares of one table: how many slots each may have, and how much each wants each slot. */
class Draw {
  readonly quotas: readonly number[];
  readonly #weights: readonly number[];
  readonly #seeds: readonly number[];

  constructor(ids: readonly string[], shares: readonly SlotShare[]) {
    const weights = new Map(shares.map(({ id, weight }) => [id, weight]));
    this.#weights = ids.map((id) => weights.get(id) ?? 0);
    this.#seeds = ids.map(seedOf);
    this.quotas = quotasOf(this.#weights);
  }

  /** Of weighted rendezvous: the greatest has the slot. */
  score(slot: number, place: number): number {
    const mixed = mix(mix(slot + 1) ^ (this.#seeds[place] ?? 0));
    // Never 0 and never 1, so the logarithm is finite and below 0.
    return -(this.#weights[place] ?? 0) / Math.log((mixed + 0.5) / 2 ** 32);
  }
}

/** How many each has to get; below 0 for those who have too many. */
function lackOf(owners: Uint8Array, quotas: readonly number[]): number[] {
  const lacking = [...quotas];
  for (const owner of owners) if (owner !== NOBODY) lacking[owner] = (lacking[owner] ?? 0) - 1;
  return lacking;
}

/** Who has too many gives those that the ones in need want most. */
function releaseExcess(owners: Uint8Array, lacking: number[], draw: Draw): void {
  const needy = lacking.flatMap((lack, place) => (lack > 0 ? [place] : []));
  lacking.forEach((lack, place) => {
    if (lack >= 0) return;
    const wanted = slotsOf(owners, place)
      .map((slot) => ({ slot, score: Math.max(...needy.map((each) => draw.score(slot, each))) }))
      .toSorted((one, other) => other.score - one.score || one.slot - other.slot);
    for (const { slot } of wanted.slice(0, -lack)) owners[slot] = NOBODY;
    lacking[place] = 0;
  });
}

function fill(owners: Uint8Array, lacking: number[], draw: Draw): void {
  for (const slot of slotsOf(owners, NOBODY)) {
    let best = -1;
    let bestScore = -1;
    for (let place = 0; place < lacking.length; place += 1) {
      if ((lacking[place] ?? 0) <= 0) continue;
      const score = draw.score(slot, place);
      if (score <= bestScore) continue;
      best = place;
      bestScore = score;
    }
    if (best === -1) return;
    owners[slot] = best;
    lacking[best] = (lacking[best] ?? 0) - 1;
  }
}

function slotsOf(owners: Uint8Array, owner: number): number[] {
  const slots: number[] = [];
  for (let slot = 0; slot < SLOT_COUNT; slot += 1) if (owners[slot] === owner) slots.push(slot);
  return slots;
}

/** By largest remainder; together they are all slots. */
function quotasOf(weights: readonly number[]): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const exact = weights.map((weight) => (SLOT_COUNT * weight) / total);
  const quotas = exact.map(Math.floor);
  const left = SLOT_COUNT - quotas.reduce((sum, quota) => sum + quota, 0);
  const byRemainder = exact
    .map((value, place) => ({ place, remainder: value - Math.floor(value) }))
    .toSorted((one, other) => other.remainder - one.remainder || one.place - other.place);
  for (const { place } of byRemainder.slice(0, left)) quotas[place] = (quotas[place] ?? 0) + 1;
  return quotas;
}

/** FNV-1a over UTF-8, mixed. */
function seedOf(id: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(id)) hash = Math.imul(hash ^ byte, 0x01000193);
  return mix(hash);
}

/** The finaliser of MurmurHash3: every bit of the input moves half of the output's. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
