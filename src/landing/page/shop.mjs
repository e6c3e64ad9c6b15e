/** The page: each card is a feature of its own, in the file of its name. */
import { startAccount } from './account.mjs';
import { startAssistant } from './assistant.mjs';
import { startBooks } from './books.mjs';
import { startCatalog } from './catalog.mjs';
import { startLimits } from './limits.mjs';
import { startOps } from './ops.mjs';
import { startOrders } from './orders.mjs';
import { startRuns } from './runs.mjs';
import { startStrip } from './strip.mjs';
import { startTasks } from './tasks.mjs';

startStrip();
for (const start of [
  startCatalog,
  startAssistant,
  startOrders,
  startRuns,
  startBooks,
  startAccount,
  startLimits,
  startTasks,
  startOps,
])
  start();
