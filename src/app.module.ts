import { Module } from '@nestjs/common';
import { RedisModule } from '@anbar/nestjs-redis';
import { CatalogModule } from './catalog/catalog.module.js';
import { OpsModule } from './ops/ops.module.js';

@Module({
  imports: [RedisModule.forRoot({ namespace: 'print-shop' }), CatalogModule, OpsModule],
})
export class AppModule {}
