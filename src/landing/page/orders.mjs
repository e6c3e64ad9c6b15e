/** Orders, live: by server-sent events, and beside them over a WebSocket. */
import { busy, call, element, one, show } from './call.mjs';

const SHOWN = 6;
const feed = one('orders-feed');
const state = one('orders-state');
const lamp = one('orders-lamp');
const heard = { events: 0, socket: 0 };
let connection = 'connecting';

export function startOrders() {
  watch();
  listenOnSocket();
  one('orders-place').addEventListener('click', (event) => {
    void busy(event.currentTarget, async () => {
      const product = 1 + Math.floor(Math.random() * 8);
      show(one('orders-result'), await call('POST', '/orders', { body: { product, copies: 2 } }));
    });
  });
  one('orders-advance').addEventListener('click', (event) => void busy(event.currentTarget, advance));
}

/** The browser connects again by itself, and says which event it has seen last. */
function watch() {
  const source = new EventSource('/orders/live');
  source.addEventListener('open', () => tell('live'));
  source.addEventListener('error', () => tell('connecting again'));
  source.addEventListener('order', (event) => {
    heard.events += 1;
    tell('live');
    add(JSON.parse(event.data), event.lastEventId);
  });
}

function listenOnSocket() {
  const socket = new WebSocket(
    `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/orders/socket`,
  );
  socket.addEventListener('message', ({ data }) => {
    if (JSON.parse(data).type !== 'order') return;
    heard.socket += 1;
    tell(connection);
  });
  socket.addEventListener('close', () => setTimeout(listenOnSocket, 2_000));
}

function tell(now) {
  connection = now;
  lamp.classList.toggle('on', now === 'live');
  state.textContent = `${now}: ${heard.events} by event stream, ${heard.socket} by WebSocket`;
}

function add({ id, product, status, publishedAt }, eventId) {
  feed.querySelector('.empty')?.remove();
  const time = new Date(publishedAt).toLocaleTimeString();
  const line = element(
    'li',
    { class: 'new', 'data-event': eventId },
    element('small', {}, time),
    element('span', {}, `No ${id}, ${product}`),
    element('span', { class: `status ${status}` }, status),
  );
  feed.prepend(line);
  while (feed.childElementCount > SHOWN) feed.lastElementChild.remove();
}

async function advance() {
  const list = await call('GET', '/orders', { quiet: true });
  const open = list.status === 200 ? list.data.filter(({ status }) => status !== 'shipped') : [];
  const oldest = open.at(-1);
  if (oldest === undefined) {
    show(one('orders-result'), { ...list, data: 'every order is shipped: place one' });
    return;
  }
  show(one('orders-result'), await call('POST', `/orders/${oldest.id}/advance`));
}
