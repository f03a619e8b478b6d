"""What auctions hand to the doors: routes and the clockwork that writes down what the clock has decided."""

from auctions import api, service
from marketplace.module import Module, Periodic

module = Module(
    name="auctions",
    blueprints=(api.blueprint,),
    periodic=(Periodic("auctions.close_due", service.close_due, seconds=1),),
)
