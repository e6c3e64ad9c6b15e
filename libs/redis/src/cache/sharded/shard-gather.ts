/** Questions to all shards at once, of which some may never be answered in time. */

/** Settles when the answers are enough, or when every question has been answered or has failed. Never rejects. */
export function gatherEnough<T>(
  questions: readonly Promise<T>[],
  isEnough: (answers: readonly T[]) => boolean,
): Promise<readonly T[]> {
  return new Promise((resolve) => {
    const answers: T[] = [];
    let open = questions.length;
    if (open === 0) resolve(answers);
    const close = (): void => {
      open -= 1;
      if (open === 0 || isEnough(answers)) resolve([...answers]);
    };
    for (const question of questions) {
      question.then(
        (answer) => {
          answers.push(answer);
          close();
        },
        () => close(),
      );
    }
  });
}
