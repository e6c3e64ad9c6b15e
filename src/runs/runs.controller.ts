/** `/status/:runId`, asked by everybody who waits for a book: one answer for all, kept for 30 seconds. */
import { randomUUID } from 'node:crypto';
import { Body, Controller, Get, HttpCode, Inject, NotFoundException, Param, Post, Res } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { Cacheable, RateLimit } from '@anbar/nestjs-redis';
import { RequestBody } from '../request-body.js';
import { Press } from './press.js';
import type { PrintRun } from './print-run.js';
import { RunLedger, runTag } from './run-ledger.js';

@Controller()
export class RunsController {
  constructor(
    @Inject(RunLedger) private readonly ledger: RunLedger,
    @Inject(Press) private readonly press: Press,
  ) {}

  @Get('status/:runId')
  @Cacheable({ ttl: '30s', by: 'everyone', atDoor: true, tags: (runId: string) => [runTag(runId)] })
  async status(@Param('runId') runId: string): Promise<PrintRun> {
    const found = await this.ledger.find(runId);
    if (found === undefined) throw new NotFoundException(`there is no run ${runId.slice(0, 40)}`);
    return found;
  }

  @Post('runs')
  @HttpCode(202)
  @RateLimit({ name: 'runs', limit: 20, window: '1m' })
  async start(
    @Body() given: unknown,
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<PrintRun> {
    const body = new RequestBody(given);
    const title = body.text('title', { most: 100, otherwise: 'Kelidar' });
    const copies = body.whole('copies', { least: 1, most: 100_000, otherwise: 500 });
    const runId = randomUUID().slice(0, 8);
    const entered = await this.ledger.enter(runId, title, copies);
    await this.press.queue(runId, copies);
    response.setHeader('location', `/status/${runId}`);
    return entered;
  }
}
