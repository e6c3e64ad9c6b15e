import { Module } from '@nestjs/common';
import { OrderBook } from './order-book.js';
import { OrdersController } from './orders.controller.js';
import { OrdersGateway } from './orders.gateway.js';

@Module({ controllers: [OrdersController], providers: [OrderBook, OrdersGateway] })
export class OrdersModule {}
