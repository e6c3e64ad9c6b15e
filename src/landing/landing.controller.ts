/** The page a visitor sees first: files of the folder beside, as they are. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Controller, Get, Header, NotFoundException, Param, StreamableFile } from '@nestjs/common';

/** The same from `src` and from `dist`, where only programs are. */
const FOLDER = new URL('../../src/landing/page/', import.meta.url);
const KINDS: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};
const FILE = /^[a-z-]+\.(css|mjs|svg)$/u;

@Controller()
export class LandingController {
  @Get()
  @Header('cache-control', 'no-cache')
  page(): StreamableFile {
    return served('index.html');
  }

  @Get('page/:file')
  @Header('cache-control', 'no-cache')
  file(@Param('file') file: string): StreamableFile {
    if (!FILE.test(file)) throw new NotFoundException();
    return served(file);
  }
}

function served(file: string): StreamableFile {
  const type = KINDS[file.slice(file.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
  try {
    return new StreamableFile(readFileSync(fileURLToPath(new URL(file, FOLDER))), { type });
  } catch (error) {
    throw new NotFoundException(undefined, { cause: error });
  }
}
