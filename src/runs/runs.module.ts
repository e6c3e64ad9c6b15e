import { Module } from '@nestjs/common';
import { Press } from './press.js';
import { RunLedger } from './run-ledger.js';
import { RunsController } from './runs.controller.js';

@Module({ controllers: [RunsController], providers: [RunLedger, Press] })
export class RunsModule {}
