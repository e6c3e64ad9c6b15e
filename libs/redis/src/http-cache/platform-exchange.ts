/** The exchange of whatever platform a response belongs to. */
import type { Exchange } from './exchange.js';
import { ExpressExchange } from './express-exchange.js';
import { FastifyExchange, isFastify } from './fastify-exchange.js';

export function exchangeOf(request: object, response: object): Exchange {
  return isFastify(response)
    ? new FastifyExchange(request, response)
    : new ExpressExchange(request, response);
}
