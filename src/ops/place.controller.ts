/** Which process answers, and what it runs on. */
import { Controller, Get, Inject } from '@nestjs/common';
import { FallbackCache, RedisAdapter } from '@anbar/nestjs-redis';
import { ShopDatabase } from '../storage/shop-database.js';

interface Place {
  readonly pid: number;
  readonly upSeconds: number;
  readonly redis: { readonly topology: string; readonly nodes: readonly string[]; readonly state: string };
  readonly cache: string;
  readonly database: { readonly place: 'a file' | 'in memory'; readonly queries: number };
}

@Controller('place')
export class PlaceController {
  constructor(
    @Inject(RedisAdapter) private readonly adapter: RedisAdapter,
    @Inject(FallbackCache) private readonly cache: FallbackCache,
    @Inject(ShopDatabase) private readonly database: ShopDatabase,
  ) {}

  @Get()
  place(): Place {
    const { topology, nodes, health } = this.adapter.status();
    return {
      pid: process.pid,
      upSeconds: Math.round(process.uptime()),
      redis: { topology, nodes: nodes.map(({ node }) => node), state: health },
      cache: this.cache.state.mode,
      database: {
        place: this.database.place === ':memory:' ? 'in memory' : 'a file',
        queries: this.database.queries,
      },
    };
  }
}
