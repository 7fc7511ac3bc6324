/** The Huffman tables that JPEG images use when they bring none. */

/** A table as a DHT segment has it. */
interface HuffmanTable {
  /** High half: 0 for means (DC), 1 for the rest (AC). Low half: the table's number. */
  id: number;
  /** How many codes there are of each length from 1 to 16 bits, two digits each. */
  counts: string;
  /** What the codes stand for, from the shortest on, two digits each. */
  values: string;
}

/** Source: ITU-T T.81, tables K.3 to K.6. */
const TABLES: readonly HuffmanTable[] = [
  {
    id: 0x00,
    counts: "00010501010101010100000000000000",
    values: "000102030405060708090a0b",
  },
  {
    id: 0x10,
    counts: "0002010303020403050504040000017d",
    values: "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a16" +
      "1718191a25262728292a3435363738393a434445464748494a535455565758595a63646566676869" +
      "6a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6" +
      "b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8" +
      "f9fa",
  },
  {
    id: 0x01,
    counts: "00030101010101010101010000000000",
    values: "000102030405060708090a0b",
  },
  {
    id: 0x11,
    counts: "00020102040403040705040400010277",
    values: "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434" +
      "e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768" +
      "696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4" +
      "b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8" +
      "f9fa",
  },
];

const DHT = 0xc4;

/** The tables as one DHT segment. */
export const STANDARD_HUFFMAN_TABLES: Uint8Array = (() => {
  const tables = TABLES.flatMap((
    { id, counts, values },
  ) => [id, ...Uint8Array.fromHex(counts + values)]);
  const length = 2 + tables.length;
  return Uint8Array.of(0xff, DHT, length >> 8, length & 255, ...tables);
})();
