"""The ground floor: who, what, money, time and promises. Later stages stand on it; it knows none of them."""
