"""The routes: what is asked and answered; what a route does stands below it."""
