import { Module } from '@nestjs/common';
import { CatalogController } from './catalog.controller.js';
import { ProductShelf } from './product-shelf.js';

@Module({ controllers: [CatalogController], providers: [ProductShelf] })
export class CatalogModule {}
