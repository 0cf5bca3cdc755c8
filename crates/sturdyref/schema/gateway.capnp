@0xc071ea816af10f6d;
# The second door to a vat, for peers whose Cap'n Proto library cannot put an object id into Bootstrap:
# they bootstrap with a null id and get this.

interface Gateway @0x9d1c2f0b7a3e4c58 {
  restore @0 (id :Data) -> (cap :AnyPointer);
  # The capability that the sturdyref with this id stands for. `id` holds the raw bytes, not base64.
  # Throws exactly what a Bootstrap with this id would.
}
