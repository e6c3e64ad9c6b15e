import { busy, call, element, one, show } from './call.mjs';

const result = one('catalog-result');
const rows = one('catalog-rows');
let shelf = '';
let changed = 0;

export function startCatalog() {
  for (const button of document.querySelectorAll('#catalog button[data-shelf]')) {
    button.addEventListener('click', () => {
      shelf = button.dataset.shelf;
      void busy(button, ask);
    });
  }
}

async function ask() {
  const made = await call('GET', shelf === '' ? '/products' : `/products?shelf=${shelf}`);
  if (made.status === 200) rows.replaceChildren(...made.data.products.map(rowOf));
  show(result, made);
}

function rowOf({ id, title, shelf: stands, priceCents }) {
  const raise = element('button', { type: 'button', class: 'quiet small' }, '+ 0.50');
  raise.setAttribute('aria-label', `Raise the price of ${title} by 0.50`);
  raise.addEventListener('click', () => void busy(raise, () => reprice(id, priceCents + 50)));
  const price = element(
    'td',
    { class: id === changed ? 'price changed' : 'price' },
    (priceCents / 100).toFixed(2),
  );
  return element(
    'tr',
    {},
    element('td', {}, title),
    element('td', {}, stands),
    price,
    element('td', {}, raise),
  );
}

/** The list is asked for again at once: the new price is on it, or something is wrong. */
async function reprice(id, priceCents) {
  const made = await call('PUT', `/products/${id}/price`, { body: { priceCents } });
  if (made.status !== 200) {
    show(result, made);
    return;
  }
  changed = id;
  await ask();
}
