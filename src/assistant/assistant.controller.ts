/** Prompts and answers: `curl -N` shows the words as they come. */
import { Readable } from 'node:stream';
import { Controller, Get, Inject, Query, Res, StreamableFile, UseGuards } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { RateLimit } from '@anbar/nestjs-redis';
import { VisitorGuard } from '../account/reader.guard.js';
import { RequestBody } from '../request-body.js';
import { Answers } from './answers.js';

const LONGEST_PROMPT = 500;

@Controller('assistant')
@UseGuards(VisitorGuard)
export class AssistantController {
  constructor(@Inject(Answers) private readonly answers: Answers) {}

  /** Costly for a real model, so each reader has a limit, and nobody more than three at a time. */
  @Get()
  @RateLimit(
    { name: 'prompts', limit: 20, window: '1m', by: 'user' },
    { name: 'prompts-at-once', limit: 3, algorithm: 'concurrency', by: 'user' },
  )
  async ask(
    @Query('prompt') given: unknown,
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<StreamableFile> {
    const prompt = new RequestBody({ prompt: given }).text('prompt', { most: LONGEST_PROMPT });
    const { outcome, words } = await this.answers.read(prompt);
    const made = outcome === 'loaded' || outcome === 'bypass';
    response.setHeader('x-cache', made ? 'MISS' : 'HIT');
    response.setHeader('x-model', 'fake');
    return new StreamableFile(Readable.from(words), { type: 'text/plain; charset=utf-8' });
  }
}
