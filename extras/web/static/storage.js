/** What this browser keeps, by name. Where it is full or forbids it, the page remembers it as long as it is open. */

/** @param {() => Storage} open */
function keeper(open) {
  const memory = new Map();
  let storage;
  try {
    storage = open();
  } catch {
    // forbidden
  }
  return {
    /** @returns {any} null if there is nothing */
    get(name) {
      try {
        return JSON.parse(memory.get(name) ?? storage?.getItem(name) ?? "null");
      } catch {
        return null; // not of this page
      }
    },
    /** Nothing, as null or "", forgets it. @returns {boolean} whether it outlives the page */
    set(name, value) {
      memory.delete(name);
      if (!value) storage?.removeItem(name);
      if (!value) return true;
      try {
        storage.setItem(name, JSON.stringify(value));
        return true;
      } catch {
        memory.set(name, JSON.stringify(value));
        return false;
      }
    },
    /** @returns {string[]} what of the names that begin so comes after that */
    ids: (prefix) =>
      [...memory.keys(), ...Object.keys(storage ?? {})]
        .filter((name) => name.startsWith(prefix))
        .map((name) => name.slice(prefix.length)),
  };
}

export const browser = keeper(() => localStorage);
export const tab = keeper(() => sessionStorage);
