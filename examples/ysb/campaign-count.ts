// What the benchmark's pipeline gives: one row for each campaign and window.

export type CampaignCount = {
  readonly campaign_id: string;
  readonly windowStart: number;
  readonly windowEnd: number;
  readonly views: number;
};
