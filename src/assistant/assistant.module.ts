import { Module } from '@nestjs/common';
import { AccountModule } from '../account/account.module.js';
import { Answers } from './answers.js';
import { AssistantController } from './assistant.controller.js';
import { FakeModel } from './fake-model.js';

@Module({ imports: [AccountModule], controllers: [AssistantController], providers: [Answers, FakeModel] })
export class AssistantModule {}
