/** The three boards, built from the catalogue: what is asked for has to be in it. */
import { namesOf } from './names.mjs';
import { bars, board, heatmap, lines, row, stat, table, timeline } from './panels.mjs';

const AT = 'job=~"$job", instance=~"$instance"';
const CACHE = `${AT}, cache=~"$cache"`;
const CLIENT = `${AT}, client=~"$client"`;

const GREEN_ABOVE = (limit) => [
  { color: 'red', value: null },
  { color: 'green', value: limit },
];
const RED_ABOVE = (limit) => [
  { color: 'green', value: null },
  { color: 'red', value: limit },
];

const LINKS = [
  ['Application cache', 'anbar-cache'],
  ['Redis client and resilience', 'anbar-client'],
  ['Limits, queues, jobs', 'anbar-services'],
];

export function boardsOf(metrics) {
  const names = namesOf(metrics);
  return {
    'anbar-cache': cacheBoard(names),
    'anbar-client': clientBoard(names),
    'anbar-services': serviceBoard(names),
  };
}

function cacheBoard({ plain, rate, quantile, increase }) {
  const up = plain('connection_up');
  const requests = (labels = '') => rate('cache_requests_total', `${CACHE}${labels}`);
  const hits = requests(', outcome!="miss"');
  const share = (by) => `sum${by} (${hits}) / sum${by} (${requests()})`;
  return board({
    uid: 'anbar-cache',
    title: 'Anbar: application cache',
    description: 'What the caches of an application answer, load and hold.',
    up,
    links: LINKS,
    variables: [['cache', 'Cache', `label_values(${plain('cache_requests_total', 'job=~"$job"')}, cache)`]],
    annotations: [
      {
        name: 'near cache lost its source',
        color: 'orange',
        expr: `sum(${increase('l1_source_changes_total', `${AT}, to="lost"`, '1m')}) > 0`,
      },
    ],
    panels: [
      row('Now'),
      stat('Hit rate', share(''), { unit: 'percentunit', steps: GREEN_ABOVE(0.5) }),
      stat('Requests', `sum(${requests()})`, { unit: 'reqps' }),
      stat('Loads', `sum(${rate('cache_loads_total', CACHE)})`, { unit: 'ops' }),
      stat('Slowest 1 % of commands', quantile(0.99, 'command_duration_seconds', [], AT), { unit: 's' }),
      stat('Open breakers', `sum(${plain('breaker_nodes', `${AT}, state="open"`)})`, { steps: RED_ABOVE(1) }),
      stat('Redis', `min(${plain('connection_up', AT)})`, {
        steps: GREEN_ABOVE(1),
        mappings: [{ type: 'value', options: { 0: { text: 'down' }, 1: { text: 'up' } } }],
      }),
      row('Requests'),
      lines('Requests by outcome', [[`sum by (outcome) (${requests()})`, '{{outcome}}']], {
        unit: 'reqps',
        stacked: true,
      }),
      lines('Hit rate per cache', [[share(' by (cache)'), '{{cache}}']], {
        unit: 'percentunit',
        defaults: { max: 1 },
      }),
      table('Caches with the lowest hit rate', [
        [`bottomk(10, ${share(' by (cache)')})`],
        [`sum by (cache) (${requests()})`],
        [quantile(0.95, 'cache_load_duration_seconds', ['cache'], CACHE)],
      ]),
      lines(
        'Negative hits, and calls done without Redis',
        [
          [`sum by (cache) (${rate('cache_negative_hits_total', CACHE)})`, '{{cache}} negative'],
          [`sum by (cache) (${rate('cache_failures_total', CACHE)})`, '{{cache}} failed'],
        ],
        { unit: 'ops' },
      ),
      lines(
        'Writes and invalidations',
        [
          [`sum by (outcome) (${rate('cache_writes_total', CACHE)})`, 'stored: {{outcome}}'],
          [`sum by (by) (${rate('cache_invalidations_total', CACHE)})`, 'invalidated: {{by}}'],
          [`sum(${rate('cache_invalidation_failures_total', CACHE)})`, 'not invalidated'],
        ],
        { unit: 'ops' },
      ),
      lines(
        'Time of an invalidation',
        [[quantile(0.95, 'cache_invalidation_duration_seconds', [], AT), '95 %']],
        { unit: 's' },
      ),
      row('Loads'),
      lines(
        'Time of a loader',
        [0.5, 0.95, 0.99].map((q) => [quantile(q, 'cache_load_duration_seconds', [], CACHE), `${q * 100} %`]),
        { unit: 's' },
      ),
      lines('Loads by outcome', [[`sum by (outcome) (${rate('cache_loads_total', CACHE)})`, '{{outcome}}']], {
        unit: 'ops',
        stacked: true,
      }),
      lines(
        'Loads saved and lost',
        [
          [`sum(${rate('cache_coalesced_total', CACHE)})`, 'joined a load'],
          [`sum(${rate('cache_refused_fills_total', CACHE)})`, 'invalidated meanwhile'],
          [`sum(${rate('cache_unstorable_total', CACHE)})`, 'can not be stored'],
          [`sum(${rate('cache_bypassed_total', CACHE)})`, 'Redis never saw'],
        ],
        { unit: 'ops' },
      ),
      row('Near cache and codec'),
      lines('Copies in the process', [
        [`sum(${plain('l1_entries', AT)})`, 'entries'],
        [`sum(${plain('l1_doubtful_entries', AT)})`, 'in doubt'],
      ]),
      lines('Size of the copies', [[`sum by (instance) (${plain('l1_bytes', AT)})`, '{{instance}}']], {
        unit: 'bytes',
      }),
      lines(
        'Evictions, and changes of the source',
        [
          [`sum(${rate('l1_evictions_total', AT)})`, 'evictions'],
          [`sum by (to) (${rate('l1_source_changes_total', AT)})`, 'source: {{to}}'],
        ],
        { unit: 'ops' },
      ),
      timeline(
        'What the near cache hears changes by',
        [[`max by (by) (${plain('l1_source', AT)})`, '{{by}}']],
        {
          defaults: {
            thresholds: {
              mode: 'absolute',
              steps: [
                { color: 'transparent', value: null },
                { color: 'blue', value: 1 },
              ],
            },
          },
        },
      ),
      lines(
        'Values that could not be read',
        [[`sum by (reason) (${rate('codec_unreadable_total', AT)})`, '{{reason}}']],
        {
          unit: 'ops',
        },
      ),
      lines(
        'Encryption keys in use',
        [
          [`sum by (key_id) (${rate('codec_decrypted_total', AT)})`, '{{key_id}}'],
          [`sum(${rate('codec_plaintext_total', AT)})`, 'plain text'],
        ],
        { unit: 'ops' },
      ),
      row('HTTP'),
      lines(
        'Answers of cached routes',
        [[`sum by (outcome) (${rate('http_cache_answers_total', AT)})`, '{{outcome}}']],
        {
          unit: 'reqps',
          stacked: true,
        },
      ),
      lines(
        'Kept out of the cache',
        [[`sum by (reason) (${rate('http_cache_refusals_total', AT)})`, '{{reason}}']],
        {
          unit: 'reqps',
        },
      ),
      lines(
        'Time of a request by what the cache did',
        [[quantile(0.95, 'http_request_duration_seconds', ['cache_status'], AT), '95 % {{cache_status}}']],
        { unit: 's' },
      ),
    ],
  });
}

function clientBoard({ plain, rate, part, quantile, increase }) {
  const up = plain('connection_up');
  const onOff = {
    mode: 'absolute',
    steps: [
      { color: 'red', value: null },
      { color: 'green', value: 1 },
    ],
  };
  const alarm = {
    mode: 'absolute',
    steps: [
      { color: 'green', value: null },
      { color: 'red', value: 1 },
    ],
  };
  return board({
    uid: 'anbar-client',
    title: 'Anbar: Redis client and resilience',
    description: 'How Redis answers, and what is done when it does not.',
    up,
    links: LINKS,
    variables: [['client', 'Connection', `label_values(${plain('connection_up', 'job=~"$job"')}, client)`]],
    annotations: [
      {
        name: 'connection lost',
        color: 'red',
        expr: `sum by (client) (${increase('connection_events_total', `${CLIENT}, event="lost"`, '1m')}) > 0`,
      },
    ],
    panels: [
      row('Commands'),
      heatmap('Time of commands', `sum by (le) (${part('command_duration_seconds', 'bucket', CLIENT)})`, {
        width: 12,
      }),
      lines(
        'Slowest 1 % by command',
        [[`topk(10, ${quantile(0.99, 'command_duration_seconds', ['command'], CLIENT)})`, '{{command}}']],
        {
          unit: 's',
          width: 12,
        },
      ),
      lines(
        'Commands',
        [[`sum by (command) (${part('command_duration_seconds', 'count', CLIENT)})`, '{{command}}']],
        {
          unit: 'ops',
          stacked: true,
        },
      ),
      lines('Errors', [[`sum by (error) (${rate('command_errors_total', CLIENT)})`, '{{error}}']], {
        unit: 'ops',
        stacked: true,
      }),
      lines('Retries', [[`sum by (outcome) (${rate('retries_total', CLIENT)})`, '{{outcome}}']], {
        unit: 'ops',
      }),
      row('Connections'),
      timeline('Connections', [[`min by (client) (${plain('connection_up', CLIENT)})`, '{{client}}']], {
        defaults: { thresholds: onOff },
      }),
      timeline(
        'Open breakers',
        [
          [
            `sum by (client, kind) (${plain('breaker_nodes', `${CLIENT}, state="open"`)})`,
            '{{client}} {{kind}}',
          ],
        ],
        {
          defaults: { thresholds: alarm },
        },
      ),
      lines(
        'Changes of breakers',
        [[`sum by (to) (${rate('breaker_transitions_total', CLIENT)})`, '{{to}}']],
        { unit: 'ops' },
      ),
      lines('In flight', [[`sum by (client) (${plain('commands_in_flight', CLIENT)})`, '{{client}}']]),
      lines(
        'Slowest heartbeat',
        [[`max by (client) (${plain('connection_heartbeat_seconds', CLIENT)})`, '{{client}}']],
        {
          unit: 's',
        },
      ),
      lines('Nodes by state', [[`sum by (state) (${plain('connection_nodes', CLIENT)})`, '{{state}}']], {
        stacked: true,
      }),
      row('Fallback'),
      timeline(
        'Who answers for the fallback cache',
        [[`max by (mode) (${plain('fallback_mode', AT)})`, '{{mode}}']],
        {
          defaults: {
            thresholds: {
              mode: 'absolute',
              steps: [
                { color: 'transparent', value: null },
                { color: 'blue', value: 1 },
              ],
            },
          },
        },
      ),
      lines('Changes Redis is to be told of', [
        [`sum(${plain('fallback_journal_entries', AT)})`, 'journal'],
        [`max(${plain('fallback_journal_overflowed', AT)})`, 'overflowed'],
      ]),
      lines('Changes of the mode', [[`sum by (to) (${rate('fallback_changes_total', AT)})`, '{{to}}']], {
        unit: 'ops',
      }),
      row('Shards'),
      bars('Share of the keys', [[`avg by (shard) (${plain('shard_slots_share', AT)})`, '{{shard}}']], {
        unit: 'percentunit',
      }),
      lines('Reads per shard', [[`sum by (shard) (${rate('shard_requests_total', AT)})`, '{{shard}}']], {
        unit: 'ops',
      }),
      timeline('Shards', [[`min by (shard) (${plain('shard_up', AT)})`, '{{shard}}']], {
        defaults: { thresholds: onOff },
      }),
      lines(
        'Shards that leave, return and move',
        [[`sum by (shard, event) (${rate('shard_events_total', AT)})`, '{{shard}} {{event}}']],
        {
          unit: 'ops',
        },
      ),
      row('Figures'),
      table('What runs', [[`count by (node, topology) (${plain('build_info', AT)})`]], { width: 8 }),
      lines(
        'Figures that could not be taken',
        [[`sum by (source) (${rate('scrape_errors_total', AT)})`, '{{source}}']],
        { unit: 'ops' },
      ),
      lines('Names shown as other', [[`sum by (label) (${rate('label_overflow_total', AT)})`, '{{label}}']], {
        unit: 'ops',
      }),
    ],
  });
}

function serviceBoard({ plain, rate, quantile }) {
  const decisions = (labels = '') => rate('ratelimit_decisions_total', `${AT}${labels}`);
  return board({
    uid: 'anbar-services',
    title: 'Anbar: limits, queues, jobs',
    description: 'Rate limits, tasks, sessions, locks, messages and the clean-up.',
    up: plain('connection_up'),
    links: LINKS,
    variables: [],
    panels: [
      row('Limits'),
      lines('Decisions', [[`sum by (decision) (${decisions()})`, '{{decision}}']], {
        unit: 'reqps',
        stacked: true,
      }),
      lines(
        'Share denied per limit',
        [
          [
            `sum by (limit) (${decisions(', decision="denied"')}) / sum by (limit) (${decisions()})`,
            '{{limit}}',
          ],
        ],
        { unit: 'percentunit', defaults: { max: 1 } },
      ),
      lines('Who decides', [[`sum by (source) (${rate('ratelimit_sources_total', AT)})`, '{{source}}']], {
        unit: 'reqps',
        stacked: true,
      }),
      lines(
        'Time of a check',
        [[quantile(0.95, 'ratelimit_check_duration_seconds', ['limit'], AT), '95 % {{limit}}']],
        { unit: 's' },
      ),
      lines(
        'Without Redis',
        [
          [`sum(${rate('ratelimit_allowed_without_store_total', AT)})`, 'let through'],
          [`sum by (to) (${rate('ratelimit_store_changes_total', AT)})`, 'store {{to}}'],
          [`sum(${rate('ratelimit_places_lost_total', AT)})`, 'places lost'],
        ],
        { unit: 'ops' },
      ),
      row('Tasks'),
      lines('Tasks by state', [[`max by (state) (${plain('tasks_queued', AT)})`, '{{state}}']]),
      lines(
        'Attempts',
        [[`sum by (task, outcome) (${rate('tasks_done_total', AT)})`, '{{task}} {{outcome}}']],
        { unit: 'ops' },
      ),
      lines(
        'Time of an attempt',
        [[quantile(0.95, 'task_duration_seconds', ['task'], AT), '95 % {{task}}']],
        { unit: 's' },
      ),
      row('Clean-up'),
      stat('Since the last run', `time() - max(${plain('cleanup_last_success_timestamp_seconds', AT)} > 0)`, {
        unit: 's',
        width: 8,
        height: 8,
      }),
      lines(
        'Removed',
        [
          [`sum by (rule) (${rate('cleanup_removed_total', AT)})`, '{{rule}}'],
          [`sum by (rule) (${rate('cleanup_expiring_total', AT)})`, '{{rule}} given an expiry'],
        ],
        { unit: 'ops' },
      ),
      lines('Runs', [
        [`sum by (outcome) (${rate('cleanup_runs_total', AT)})`, '{{outcome}}'],
        [quantile(0.95, 'cleanup_duration_seconds', [], AT), '95 % of the time, in seconds'],
      ]),
      lines('Looked at', [[`sum(${rate('cleanup_scanned_total', AT)})`, 'keys']], { unit: 'ops' }),
      lines('Freed', [[`sum(${rate('cleanup_freed_bytes_total', AT)})`, 'bytes']], { unit: 'Bps' }),
      row('Sessions and locks'),
      lines('Operations on sessions', [[`sum by (op) (${rate('session_operations_total', AT)})`, '{{op}}']], {
        unit: 'ops',
        stacked: true,
      }),
      lines(
        'Sessions refused or not reached',
        [[`sum by (outcome) (${rate('session_operations_total', `${AT}, outcome!="ok"`)})`, '{{outcome}}']],
        { unit: 'ops' },
      ),
      lines(
        'Time of an operation',
        [[quantile(0.95, 'session_operation_duration_seconds', ['op'], AT), '95 % {{op}}']],
        { unit: 's' },
      ),
      lines('Locks taken', [[`sum by (outcome) (${rate('lock_acquisitions_total', AT)})`, '{{outcome}}']], {
        unit: 'ops',
        stacked: true,
      }),
      lines('Wait for a lock', [[quantile(0.95, 'lock_wait_seconds', ['outcome'], AT), '95 % {{outcome}}']], {
        unit: 's',
      }),
      lines(
        'Locks lost',
        [
          [`sum(${rate('lock_losses_total', AT)})`, 'lost under work'],
          [`sum(${rate('lock_renewal_failures_total', AT)})`, 'renewals not answered'],
          [
            `sum by (outcome) (${rate('lock_releases_total', `${AT}, outcome!="released"`)})`,
            'release: {{outcome}}',
          ],
        ],
        { unit: 'ops' },
      ),
      lines('Locks now', [
        [`sum(${plain('locks_held', AT)})`, 'held'],
        [`sum(${plain('locks_waiting', AT)})`, 'waited for'],
      ]),
      row('Messages'),
      lines('Published', [[`sum(${rate('pubsub_published_total', AT)})`, 'messages']], { unit: 'ops' }),
      lines('Problems', [[`sum by (problem) (${rate('pubsub_problems_total', AT)})`, '{{problem}}']], {
        unit: 'ops',
      }),
      lines('Subscriptions', [[`sum(${plain('pubsub_listeners', AT)})`, 'open']]),
    ],
  });
}
