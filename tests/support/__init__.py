"""What tests share: markets, books, recorded chains, clocks, and pages made from the program."""
