/**
 * Asks with a reader's card and without the cookie, as a program would: who it is from is then known without Redis, and
 * the books go on when Redis is away.
 */
import { busy, call, element, one, show } from './call.mjs';

const reader = one('books-reader');
const list = one('books-list');
/** By reader: the tag of the copy that was received last. */
const copies = new Map();

export function startBooks() {
  one('books-ask').addEventListener('click', (event) => void busy(event.currentTarget, () => ask({})));
  one('books-copy').addEventListener('click', (event) => {
    const etag = copies.get(reader.value);
    void busy(event.currentTarget, () => ask(etag === undefined ? {} : { 'if-none-match': etag }));
  });
  reader.addEventListener('change', () => void ask({}));
  one('books-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void busy(event.currentTarget.querySelector('button'), add);
  });
}

function send(method, path, options = {}) {
  const headers = { 'x-api-key': `card-${reader.value}`, ...options.headers };
  return call(method, path, { ...options, headers, credentials: 'omit' });
}

async function ask(headers) {
  const made = await send('GET', '/books/my', { headers });
  const etag = made.headers.get('etag');
  if (made.status === 200) {
    if (etag !== null) copies.set(made.data.reader, etag);
    draw(made.data.books);
  }
  show(one('books-result'), made);
}

async function add() {
  const field = one('books-title-field');
  const title = field.value.trim() === '' ? `Untitled, ${new Date().toLocaleTimeString()}` : field.value;
  const made = await send('POST', '/books/my', { body: { title } });
  if (made.status !== 201) {
    show(one('books-result'), made);
    return;
  }
  field.value = '';
  await ask({});
}

function draw(books) {
  if (books.length === 0) list.replaceChildren(element('li', { class: 'empty' }, 'No books.'));
  else list.replaceChildren(...books.map(lineOf));
}

function lineOf({ id, title }) {
  const remove = element('button', { type: 'button', class: 'quiet small' }, 'remove');
  remove.setAttribute('aria-label', `Remove ${title}`);
  remove.addEventListener('click', () => {
    void busy(remove, async () => {
      const made = await send('DELETE', `/books/my/${id}`);
      if (made.status === 204) await ask({});
      else show(one('books-result'), made);
    });
  });
  return element('li', {}, title, remove);
}
