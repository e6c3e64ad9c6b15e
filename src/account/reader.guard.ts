/**
 * Says who a request is from: by a reader's card (`X-Api-Key`), which needs the database only, or by a session, which
 * needs Redis. What it leaves at `request.user` is what limits, caches and contexts go by.
 */
import {
  createParamDecorator,
  Inject,
  Injectable,
  UnauthorizedException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { HttpSession } from '@anbar/nestjs-redis/session';
import { ReaderDirectory } from './reader-directory.js';

export interface ShopRequest extends IncomingMessage {
  session?: HttpSession<never>;
  user?: { readonly id: string };
}

/** Of whoever can be recognised; others go on as visitors. */
@Injectable()
export class VisitorGuard implements CanActivate {
  readonly #readers: ReaderDirectory;

  constructor(@Inject(ReaderDirectory) readers: ReaderDirectory) {
    this.#readers = readers;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<ShopRequest>();
    const card = request.headers['x-api-key'];
    const id = typeof card === 'string' ? this.#readers.byCard(card) : request.session?.user;
    if (card !== undefined && id === undefined) throw new UnauthorizedException('nobody has this card');
    if (id !== undefined) request.user = { id };
    return true;
  }
}

/** Of readers only. */
@Injectable()
export class ReaderGuard extends VisitorGuard {
  constructor(@Inject(ReaderDirectory) readers: ReaderDirectory) {
    super(readers);
  }

  override canActivate(context: ExecutionContext): boolean {
    super.canActivate(context);
    if (context.switchToHttp().getRequest<ShopRequest>().user !== undefined) return true;
    throw new UnauthorizedException("log in, or send a reader's card: X-Api-Key: card-ada");
  }
}

/** The reader's id, behind one of the guards; undefined for a visitor. */
export const Reader = createParamDecorator(
  (_: unknown, context: ExecutionContext) => context.switchToHttp().getRequest<ShopRequest>().user?.id,
);
