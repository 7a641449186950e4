"""Lists the benchmarks."""

PARTS = {
    "train_step": "time of a training step in stock Keras and in fastconv, with and without XLA",
}


def main():
    print("usage: python -m benchmarks.PART [--help]\n\nparts:")
    for name, purpose in PARTS.items():
        print(f"  {name}  {purpose}")


if __name__ == "__main__":
    main()
