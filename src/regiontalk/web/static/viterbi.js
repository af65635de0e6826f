// Words to regions: the chain MRF of Eq. 10 to 12, step for step as regiontalk/alignment/mrf.py solves it, so that
// both agree to the last bit, ties included. Axis names: T words, M regions.

/**
 * The best region for each word when staying on a region is rewarded.
 *
 * @param {number[][]} scores T rows of M finite numbers, ψ_U of Eq. 11.
 * @param {number} beta β, at least 0 and finite, in units of `scores`.
 * @returns {{path: number[], total: number}} T regions and the maximum itself; of several best paths the one with the
 *     lowest region for the first word, then for the second, and so on.
 * @throws {RangeError} if `beta` is negative or not finite, or there is no word or no region.
 */
export function viterbi(scores, beta) {
  if (!(Number.isFinite(beta) && beta >= 0)) throw new RangeError(`beta must be a finite number of at least 0, not ${beta}`);
  if (!scores.length || !scores[0].length) throw new RangeError("scores must have at least one word and one region");
  // best[j][i]: the most that words j to T - 1 can reach if word j takes region i.
  const best = scores.map((row) => [...row]);
  for (let j = best.length - 2; j >= 0; j--) {
    const next = best[j + 1];
    const top = Math.max(...next);
    best[j] = best[j].map((own, i) => own + Math.max(next[i] + beta, top));
  }
  const path = [firstOfLargest(best[0])];
  for (let j = 1; j < best.length; j++) {
    const onwards = [...best[j]];
    onwards[path[j - 1]] += beta;
    path.push(firstOfLargest(onwards));
  }
  return { path, total: best[0][path[0]] };
}

/**
 * Cuts a sentence into the maximal runs of words that share a region.
 *
 * @param {string[]} words T words.
 * @param {number[]} path the region of each word.
 * @returns {{text: string, start: number, end: number, region: number}[]} in order, `end` exclusive.
 */
export function phrases(words, path) {
  const runs = [];
  path.forEach((region, j) => {
    if (j && path[j - 1] === region) runs[runs.length - 1].end = j + 1;
    else runs.push({ start: j, end: j + 1, region });
  });
  return runs.map((run) => ({ text: words.slice(run.start, run.end).join(" "), ...run }));
}

function firstOfLargest(values) {
  return values.indexOf(Math.max(...values));
}

const ABSENT = 0.15; // as in regiontalk.structures

/** Whether a word is told as absent, even within a phrase that is found. */
export function isAbsent(sure) {
  return typeof sure === "number" && sure < ABSENT;
}

/** The probability that a phrase is shown, from its words', as `phrase_probability`; null if none names anything. */
export function phraseSure(words) {
  const naming = words.filter((sure) => typeof sure === "number");
  if (!naming.length) return null;
  const present = naming.filter((sure) => !isAbsent(sure));
  const counted = present.length ? present : naming;
  const odds = counted.map((sure) => Math.min(Math.max(sure, 1e-5), 1 - 1e-5)).reduce((sum, each) => sum + Math.log(each / (1 - each)), 0);
  return 1 / (1 + Math.exp(-odds / Math.sqrt(counted.length)));
}
