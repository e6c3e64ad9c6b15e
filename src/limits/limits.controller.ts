/** Doors to knock on: what is left is in the `RateLimit` header of every answer. */
import { setTimeout as pause } from 'node:timers/promises';
import { Controller, Get, UseGuards } from '@nestjs/common';
import { RateLimit } from '@anbar/nestjs-redis';
import { Reader, VisitorGuard } from '../account/reader.guard.js';

const PASSAGE_MS = 600;

@Controller('limits')
@UseGuards(VisitorGuard)
export class LimitsController {
  /** This endpoint, by address. */
  @Get('endpoint')
  @RateLimit({ name: 'door', limit: 5, window: '10s' })
  endpoint(): { passed: true } {
    return { passed: true };
  }

  /** Each reader for themselves, by card or by session; visitors by address. */
  @Get('reader')
  @RateLimit({ name: 'reader', limit: 5, window: '10s', by: 'user' })
  reader(@Reader() reader: string | undefined): { passed: true; reader: string | null } {
    return { passed: true, reader: reader ?? null };
  }

  /** Two at a time. */
  @Get('passage')
  @RateLimit({ name: 'passage', limit: 2, algorithm: 'concurrency' })
  async passage(): Promise<{ passed: true }> {
    await pause(PASSAGE_MS);
    return { passed: true };
  }
}
