/** What the health routes are given; symbols, as Terminus' own classes are not there before it is loaded. */
export const HEALTH_CHECKS = Symbol('anbar:health-checks');
export const HEALTH_READINESS = Symbol('anbar:health-readiness');
