import { Module } from '@nestjs/common';
import { Bindery } from './bindery.js';
import { TasksController } from './tasks.controller.js';

@Module({ controllers: [TasksController], providers: [Bindery] })
export class TasksModule {}
