/** What a member is told, and what it tells. */
export interface MemberPlan {
  readonly url: string;
  readonly channel: string;
  readonly maxDeliveries: number;
}

export const GROUP = { mode: 'group', group: 'killed', redeliverAfter: '300ms' } as const;
export const KILLER = 'killer';
