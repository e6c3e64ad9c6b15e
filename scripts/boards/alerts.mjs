/** Alert rules, built from the catalogue, with what is worth reckoning once for all. */
import { namesOf, PREFIX } from './names.mjs';

const HIT_RATIO = `${PREFIX.slice(0, -1)}:cache_hit_ratio:rate5m`;
const REQUESTS = `${PREFIX.slice(0, -1)}:cache_requests:rate5m`;

const alert = (name, severity, expr, { lasting, summary, description }) => ({
  alert: name,
  expr,
  ...(lasting && { for: lasting }),
  labels: { severity },
  annotations: { summary, description },
});

export function rulesOf(metrics) {
  const { plain, rate, increase } = namesOf(metrics);
  const over = (name, labels, time = '5m') => rate(name, labels, time);
  const hits = over('cache_requests_total', 'outcome!="miss"');
  return {
    groups: [
      {
        name: 'anbar-recording',
        rules: [
          { record: REQUESTS, expr: `sum by (job, cache) (${over('cache_requests_total', '')})` },
          {
            record: HIT_RATIO,
            expr: `sum by (job, cache) (${hits}) / sum by (job, cache) (${over('cache_requests_total', '')})`,
          },
        ],
      },
      { name: 'anbar-redis', rules: redisAlerts({ plain, rate, increase }) },
      { name: 'anbar-cache', rules: cacheAlerts({ plain, over, increase }) },
      { name: 'anbar-services', rules: serviceAlerts({ plain, over, increase }) },
    ],
  };
}

function redisAlerts({ plain, rate, increase }) {
  return [
    alert('AnbarConnectionDown', 'critical', `${plain('connection_up')} == 0`, {
      lasting: '2m',
      summary: 'Redis connection {{ $labels.client }} is down',
      description: 'No node of it has answered {{ $labels.instance }} for 2 minutes.',
    }),
    alert('AnbarBreakerOpen', 'warning', `${plain('breaker_nodes', 'state=~"open|isolated"')} > 0`, {
      lasting: '5m',
      summary: 'Breaker for {{ $labels.kind }} of {{ $labels.client }} is {{ $labels.state }}',
      description: 'Calls fail at once on {{ $labels.instance }}: the node does not answer, or refuses.',
    }),
    alert(
      'AnbarCommandErrors',
      'warning',
      `sum by (job, client, error) (${rate('command_errors_total', 'error!~"aborted|wrongtype|noscript"', '5m')}) > 1`,
      {
        lasting: '10m',
        summary: 'Commands to {{ $labels.client }} fail: {{ $labels.error }}',
        description: 'More than one a second for 10 minutes.',
      },
    ),
    alert('AnbarFallbackServes', 'warning', `${plain('fallback_mode', 'mode!="redis"')} == 1`, {
      lasting: '5m',
      summary: 'Caches are served from the process, not from Redis',
      description: '{{ $labels.instance }} has been in mode {{ $labels.mode }} for 5 minutes.',
    }),
    alert('AnbarJournalOverflowed', 'warning', `${plain('fallback_journal_overflowed')} == 1`, {
      summary: 'More changes than the journal of the fallback cache holds',
      description: 'When Redis is back, the caches are flushed instead of told of each change.',
    }),
    alert('AnbarShardDown', 'critical', `${plain('shard_up')} == 0`, {
      lasting: '2m',
      summary: 'Shard {{ $labels.shard }} is away',
      description: 'Its share of the keys is answered without a cache.',
    }),
    alert(
      'AnbarSourceFailing',
      'warning',
      `sum by (job, instance, source) (${increase('scrape_errors_total', '', '15m')}) > 0`,
      {
        summary: 'Figures of {{ $labels.source }} can not be taken',
        description: 'What is shown of them on {{ $labels.instance }} is what was last known.',
      },
    ),
    alert(
      'AnbarTooManyNames',
      'info',
      `sum by (job, label) (${increase('label_overflow_total', '', '1h')}) > 0`,
      {
        summary: 'More names of {{ $labels.label }} than metrics.labelLimit allows',
        description: 'The rest of them is counted as other.',
      },
    ),
  ];
}

function cacheAlerts({ plain, over, increase }) {
  return [
    alert(
      'AnbarHitRateFell',
      'warning',
      `${HIT_RATIO} < 0.5 * avg_over_time(${HIT_RATIO}[1d]) and ${REQUESTS} > 1`,
      {
        lasting: '15m',
        summary: 'Cache {{ $labels.cache }} hits less than half as often as yesterday',
        description: 'Keys that changed, an invalidation that is too wide, or a cache that is too small.',
      },
    ),
    alert(
      'AnbarLoadErrors',
      'warning',
      `sum by (job, cache) (${over('cache_loads_total', 'outcome="error"')}) / sum by (job, cache) (${over('cache_loads_total', '')}) > 0.05`,
      {
        lasting: '10m',
        summary: 'Loaders of cache {{ $labels.cache }} fail',
        description: 'More than 5 % of them for 10 minutes.',
      },
    ),
    alert(
      'AnbarInvalidationFailed',
      'warning',
      `sum by (job, cache) (${increase('cache_invalidation_failures_total', '', '5m')}) > 0`,
      {
        summary: 'Cache {{ $labels.cache }} could not be invalidated',
        description: 'The caller was told. What was to be removed may be served until it expires.',
      },
    ),
    alert(
      'AnbarUnreadable',
      'warning',
      `sum by (job, reason) (${increase('codec_unreadable_total', 'reason=~"forged|unknown-key|checksum"', '15m')}) > 0`,
      {
        summary: 'Stored values can not be read: {{ $labels.reason }}',
        description: 'Somebody else writes to these keys, or a key of encryption is missing.',
      },
    ),
    alert(
      'AnbarNearCacheBlind',
      'info',
      `${plain('l1_source', 'by="none"')} == 1 and on (job, instance) sum by (job, instance) (${over('cache_requests_total', '')}) > 1`,
      {
        lasting: '15m',
        summary: 'The near cache hears of no changes',
        description: 'Every read on {{ $labels.instance }} asks Redis.',
      },
    ),
  ];
}

function serviceAlerts({ plain, over, increase }) {
  return [
    alert(
      'AnbarLimitsOpen',
      'critical',
      `sum by (job, limit) (${over('ratelimit_decisions_total', 'decision="failed_open"')}) > 0`,
      {
        lasting: '5m',
        summary: 'Limit {{ $labels.limit }} lets everything through',
        description: 'Redis does not answer, and the limit is open without it.',
      },
    ),
    alert(
      'AnbarSessionsUnavailable',
      'critical',
      `sum by (job) (${over('session_operations_total', 'outcome="unavailable"')}) > 0`,
      {
        lasting: '2m',
        summary: 'Sessions can not be loaded',
        description: 'Requests that need one are answered with 503.',
      },
    ),
    alert('AnbarLocksLost', 'warning', `sum by (job) (${increase('lock_losses_total', '', '15m')}) > 0`, {
      summary: 'Work went on without its lock',
      description: 'Whatever checks no fencing number may have been done twice.',
    }),
    alert(
      'AnbarTasksFail',
      'warning',
      `sum by (job, task) (${over('tasks_done_total', 'outcome="error"')}) / sum by (job, task) (${over('tasks_done_total', '')}) > 0.2`,
      {
        lasting: '10m',
        summary: 'Tasks named {{ $labels.task }} fail',
        description: 'More than a fifth of the attempts for 10 minutes.',
      },
    ),
    alert(
      'AnbarTasksPileUp',
      'warning',
      `max by (job) (${plain('tasks_queued', 'state="waiting"')}) > 100 and max by (job) (deriv(${plain('tasks_queued', 'state="waiting"')}[15m])) > 0`,
      {
        lasting: '15m',
        summary: 'Tasks wait, and there are more of them all the time',
        description: 'More workers, or fewer tasks.',
      },
    ),
    alert(
      'AnbarCleanupLate',
      'warning',
      `time() - max by (job) (${plain('cleanup_last_success_timestamp_seconds')} > 0) > 93600`,
      {
        summary: 'No clean-up for 26 hours',
        description: 'Made for a clean-up that runs at least once a day.',
      },
    ),
    alert(
      'AnbarMessagesMissed',
      'warning',
      `sum by (job, problem) (${increase('pubsub_problems_total', 'problem=~"gap|dropped|dead_letter"', '10m')}) > 0`,
      {
        summary: 'Messages were missed: {{ $labels.problem }}',
        description: 'Listeners were told of it and should catch up.',
      },
    ),
  ];
}
