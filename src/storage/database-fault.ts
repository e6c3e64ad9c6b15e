/** The database can not be opened: said in one sentence, with what to do. */
export class DatabaseFault extends Error {
  constructor(place: string, cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `The database ${place} can not be opened (${reason}). Name another place with DEMO_DATABASE, or ` +
        'DEMO_DATABASE=:memory: for none at all.',
      { cause },
    );
    this.name = 'DatabaseFault';
  }
}
