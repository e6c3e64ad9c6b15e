import { Module } from '@nestjs/common';
import { RedisHealthModule } from '@anbar/nestjs-redis/monitoring';

@Module({ imports: [RedisHealthModule.forRoot()] })
export class OpsModule {}
