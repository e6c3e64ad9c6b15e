/** What clients send, read field by field: wrong ones are told as 400, in one sentence. */
import { BadRequestException } from '@nestjs/common';

export class RequestBody {
  readonly #fields: object;

  constructor(body: unknown) {
    this.#fields = typeof body === 'object' && body !== null ? body : {};
  }

  text(name: string, { most, otherwise }: { most: number; otherwise?: string }): string {
    const value: unknown = Reflect.get(this.#fields, name) ?? otherwise;
    if (typeof value === 'string' && value.trim() !== '' && value.length <= most) return value.trim();
    throw new BadRequestException(`${name}: send a text of 1 to ${most} characters`);
  }

  whole(
    name: string,
    { least, most, otherwise }: { least: number; most: number; otherwise?: number },
  ): number {
    const value: unknown = Reflect.get(this.#fields, name) ?? otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new BadRequestException(`${name}: send a whole number from ${least} to ${most}`);
  }
}
