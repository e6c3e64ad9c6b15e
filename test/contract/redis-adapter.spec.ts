import type { RedisAdapter } from '@anbar/nestjs-redis';
import { redisAdapterContract } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

runEverywhere([redisAdapterContract], (redis): RedisAdapter => redis.adapter);
