import { redisClientContract } from '@anbar/nestjs-redis/testing';
import { runEverywhere } from './run-everywhere.js';

runEverywhere([redisClientContract], (redis) => redis.adapter.port);
